"""`QuestionAnswerer`: strings in, answers out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, Unpack, overload

from keras_qa import _backend
from keras_qa._arguments import (
    check_flag,
    check_positive_integers,
    to_integer,
    to_optional_integer,
)
from keras_qa.answering.encoded_text import (
    AnswerResult,
    ChoiceOptions,
    Choices,
    EncodedText,
    Questions,
    Text,
    Texts,
)
from keras_qa.answering.estimator import Answers, Examples, to_validation_examples
from keras_qa.answering.retrieval_mixin import RetrievalMixin
from keras_qa.example import (
    Answer,
    Example,
    make_examples,
    select_answers,
    to_examples,
    with_answers,
    with_choices,
)
from keras_qa.onnx.runtime import check_trainable
from keras_qa.preprocessing.ask_calibration import AskOptions, check_option_names
from keras_qa.preprocessing.preprocessor import LONG_TEXT, Preprocessor, SpanDetails, Verbose

if TYPE_CHECKING:
    import keras

    from keras_qa.answering.building import Vectors
    from keras_qa.engine.compiling import Callbacks, Optimizer
    from keras_qa.models import QAModel

# `answer` and `evaluate` show a progress bar for at least this many questions, or a long text.
LONG_WORK = 2_000


class QuestionAnswerer(RetrievalMixin):
    """Learns from examples and answers questions about texts.

    It is an estimator in the sense of scikit-learn: `fit` checks the arguments of the constructor,
    and `cross_val_score`, `GridSearchCV` and `clone` accept it.

    Args:
        model: The name of a factory in `keras_qa.models`, which `fit` calls each time; or a
            functional `keras.Model` that `fit` trains further. It has the inputs `text` and
            `question` and one output of probabilities, or the outputs `start` and `end` of a
            `span_reader`, or is a `multiple_choice` model.
        model_options: Arguments of the factory, such as `{"cell": "gru"}`, or
            `{"backbone": "path/to/folder"}` for a `span_reader` or a `multiple_choice`.
        vocabulary_size: Maximum number of words, padding and the unknown word included. `None` for
            all words in the training data. Not for a loaded model or a backbone, which have one.
        answer_vocabulary_size: For models that answer with words of a vocabulary: maximum number
            of answers, including one that stands for all others. `None` for all answers in the
            training data.
        seed: Seed of the weights and of the order of training. `None` for a random one. `fit` sets
            Keras' global seed.
        vectors: Word vectors for a model from scratch: a `text.WordVectors`, or a file that
            `text.WordVectors.load` reads. The first 100,000 of their words are added to those in
            the training data.
        max_length: For span readers and choices: maximum number of positions in a window, see
            `text.Windower`. `None` for the model's own value, else 384 or the backbone's maximum.
        stride: For these: number of positions that a window shares with the previous one. `None`
            for the model's own value, else 128.
        max_answer_words: For span readers: maximum number of words in an answer, see
            `preprocessing.SpanDecoder`. `None` to fit it on validation data; without such data for
            the model's own value, else 15.
        no_answer_threshold: For span readers, if some texts have no answer: the answer is empty if
            the probability of no answer is above this. `None` to fit it on validation data, or 0.5
            without such data.

    Attributes:
        model_: The trained `QAModel`. Its `preprocessor` turns strings into inputs and outputs into
            answers.
        vectorizer_: The `Vectorizer`, or for span readers the `Windower`, of the preprocessor.
        history_: The `keras.callbacks.History` of the last `fit`.
        calibration_: The result of the calibration on the validation data of the last `fit`, or
            empty: the `temperature` of the scores, which is 1.0 unless another one helps, and the
            expected `calibration_error` with it, and `calibration_error_before`.
        ranker_: The ranker that `ask` and `calibrate` load unless they are given another one:
            `"minilm-rerank"` for the preset `minilm-squad` until the next `fit`, otherwise `None`.

    Examples:
        >>> import keras_qa
        >>> stories = keras_qa.datasets.babi.simulate(task=1, examples=50, seed=0)
        >>> qa = keras_qa.QuestionAnswerer(seed=0).fit(stories, epochs=1, verbose=0)
        >>> answer = qa.answer(text="Mary moved to the garden.", question="Where is Mary?")
        >>> 0 < answer.score < 1
        True
    """

    calibration_: dict[str, float]

    def __init__(
        self,
        model: str | keras.Model = "answer_classifier",
        model_options: Mapping[str, Any] | None = None,
        vocabulary_size: int | None = None,
        answer_vocabulary_size: int | None = None,
        seed: int | None = None,
        vectors: Vectors | None = None,
        max_length: int | None = None,
        stride: int | None = None,
        max_answer_words: int | None = None,
        no_answer_threshold: float | None = None,
    ) -> None:
        self.model = model
        self.model_options = model_options
        self.vocabulary_size = vocabulary_size
        self.answer_vocabulary_size = answer_vocabulary_size
        self.seed = seed
        self.vectors = vectors
        self.max_length = max_length
        self.stride = stride
        self.max_answer_words = max_answer_words
        self.no_answer_threshold = no_answer_threshold

    def fit(
        self,
        examples: Examples,
        y: Answers | None = None,
        *,
        validation_data: Examples | tuple[Examples, Answers] | None = None,
        epochs: int = 20,
        batch_size: int = 32,
        callbacks: Callbacks = None,
        verbose: Verbose = "auto",
        optimizer: Optimizer | Callable[[int], Optimizer] | None = None,
        initial_epoch: int = 0,
        steps_per_epoch: int | None = None,
        lora_rank: int | None = None,
    ) -> QuestionAnswerer:
        """Builds the vocabulary and the model, and trains the model.

        Args:
            examples: `Example` objects, mappings with the same keys, or a DataFrame with such
                columns, each with an answer. For span readers with `answer_start`, or without an
                answer if the text has none; yes and no of `answer_types` need no `answer_start`.
            y: The answers, if `examples` do not have them: a string for each example, or a list of
                all right answers.
            validation_data: Examples for the loss and accuracy after each epoch; or a tuple
                `(X, y)` of examples and their answers. The weights are not trained on them, but the
                scores of span readers and choices are calibrated on them.
            epochs, batch_size, callbacks, verbose: As in `keras.Model.fit`.
            optimizer: An optimizer, as `keras.Model.compile` takes it; or a function that takes the
                number of training rows and returns one. A long text makes several rows. `None` for
                the model's own.
            initial_epoch: Number of the first epoch, to resume training. A callback must restore
                the state of the earlier epochs.
            steps_per_epoch: Number of steps in an epoch, which continues where the last one ended.
                `None` for a pass over all examples.
            lora_rank: For readers on a published encoder: train matrices of this rank instead of
                the encoder's weights, see `layers.TransformerEncoder.enable_lora`. `None` to train
                all weights.

        Returns:
            The answerer itself.

        Raises:
            TypeError: If an example or one of its fields has the wrong type.
            ValueError: If there are no examples, an example has no answer, or an argument of this
                method or of the constructor is out of its range or does not apply to the model.
        """
        check_trainable(self.model)
        _backend.require()
        from keras_qa.answering import building

        building.check_options(self.get_params())
        check_positive_integers(batch_size=batch_size)
        for name, value in (("epochs", epochs), ("initial_epoch", initial_epoch)):
            to_integer(name, value, least=0)
        to_optional_integer("lora_rank", lora_rank)
        data = with_answers(to_examples(examples), y)
        validation = to_validation_examples(validation_data)
        model, preprocessor = building.make_model(data, self.get_params())
        feed, labels = preprocessor.make_training_data(model, data)
        validation_feed = preprocessor.make_training_data(model, validation) if validation else None
        preprocessor.configure(data, self.get_params())
        building.change_training(model, optimizer, feed, lora_rank)
        # Set before training, so that the model can be used and saved after Ctrl-C.
        model.preprocessor = preprocessor
        self._set_model(model)
        self.history_ = model.fit(
            feed,
            labels,
            validation_data=validation_feed,
            epochs=epochs,
            batch_size=batch_size,
            callbacks=callbacks,
            verbose=verbose,
            initial_epoch=initial_epoch,
            steps_per_epoch=steps_per_epoch,
        )
        if validation:
            self.calibration_ = preprocessor.calibrate(
                model, validation, batch_size, self.get_params()
            )
        return self

    @overload
    def answer(  # type: ignore[overload-overlap]
        self,
        text: Text | Example | Mapping[str, Any],
        question: str | None = None,
        top_k: None = None,
        **options: Unpack[ChoiceOptions],
    ) -> Answer: ...

    @overload
    def answer(  # type: ignore[overload-overlap]
        self,
        text: Text | Example | Mapping[str, Any],
        question: str | None = None,
        *,
        top_k: int,
        **options: Unpack[ChoiceOptions],
    ) -> list[Answer]: ...

    @overload
    def answer(
        self,
        text: Texts | Examples,
        question: Questions | None = None,
        top_k: None = None,
        **options: Unpack[ChoiceOptions],
    ) -> list[Answer]: ...

    @overload
    def answer(
        self,
        text: Texts | Examples,
        question: Questions | None = None,
        *,
        top_k: int,
        **options: Unpack[ChoiceOptions],
    ) -> list[list[Answer]]: ...

    @overload
    def answer(
        self,
        text: Text | Example | Mapping[str, Any] | Texts | Examples,
        question: str | Questions | None = None,
        *,
        all_spans: Literal[True],
        **options: Unpack[ChoiceOptions],
    ) -> list[Any]: ...

    def answer(
        self,
        text: Text | Texts | Example | Mapping[str, Any] | Examples,
        question: str | Questions | None = None,
        top_k: int | None = None,
        batch_size: int = 32,
        verbose: Verbose = "auto",
        all_spans: bool = False,
        choices: Choices | None = None,
        **options: Unpack[AskOptions],
    ) -> AnswerResult:
        """Answers one or more questions.

        Args:
            text: The text: a string, or a list of its sentences. With several questions: one
                string for all of them, or a list of texts. Without `question`: an `Example` or a
                mapping with `text` and `question`, or an iterable of them.
            question: A question, or an iterable of questions.
            top_k: Number of answers to each question, best first. `None` for the best one only.
            batch_size: Number of questions in a step.
            verbose: 0 is silent, 1 shows a progress bar, `"auto"` shows it for many questions or
                a text of a million characters.
            all_spans: For span readers: whether to return all spans that answer a question: those
                that do not overlap a better one, with a score above 0.2, or above a threshold that
                `fit` found on validation data with `all_spans`.
            choices: For `multiple_choice`: the answers to choose from, a list of strings; for
                several questions also a list of such lists. `None` for those of the examples.
            **options: For span readers, in this call only: `max_answer_words`, `no_answer` for
                whether a text may have none, `whole_words` for whether answers start and end at
                word boundaries, and `max_length`, `stride` and `max_question_length` of
                `text.Windower`. `None` keeps the reader's own setting.

        Returns:
            An `Answer`, or with `top_k` or `all_spans` a list of answers, best first. With
            `all_spans` it is empty if there is no answer. For several questions a list with one
            entry for each.

        Raises:
            TypeError: If a text or a question is not a string, or an option is unknown.
            ValueError: If the numbers of texts and questions differ, an option is out of its range
                or does not apply to the model, both `top_k` and `all_spans` are given, or the
                answerer is not fitted.
        """
        if options:
            check_option_names(self.answer, options)
        top_k = to_optional_integer("top_k", top_k)
        check_positive_integers(batch_size=batch_size)
        check_flag("all_spans", all_spans)
        model, preprocessor = self._fitted()
        if all_spans and top_k is not None:
            raise ValueError("`top_k` and `all_spans` exclude each other. Leave one of them out.")
        if all_spans or choices is not None:
            preprocessor.check_given(all_spans=all_spans, choices=choices is not None)
        examples, several = make_examples(text, question)
        if choices is not None:
            examples = with_choices(examples, choices, several)
        if options:
            preprocessor = preprocessor.with_options(model, **options)
        if not examples:
            return []
        shown = _progress(verbose, examples)
        if all_spans:
            ranked = preprocessor.answer_all(model, examples, batch_size, shown)
            return ranked if several else ranked[0]
        ranked = preprocessor.answer(model, examples, top_k or 1, batch_size, shown)
        return select_answers(ranked, top_k, several)

    def answer_in_detail(
        self, examples: list[Example], batch_size: int = 32, verbose: Verbose = "auto"
    ) -> tuple[list[Answer], SpanDetails | None]:
        """Returns the best answers to the questions of examples, and details of span readers."""
        check_positive_integers(batch_size=batch_size)
        model, preprocessor = self._fitted()
        shown = _progress(verbose, examples)
        return preprocessor.answer_in_detail(model, examples, batch_size, shown)

    def read(self, text: Text) -> EncodedText:
        """Encodes a text once, for many questions about it.

        The part of the model that depends on the text only runs once, if there is one.

        Returns:
            An `EncodedText`, which keeps the current weights of the model.
        """
        model, preprocessor = self._fitted()
        example = Example(text, "")  # type: ignore[arg-type]
        return EncodedText(example, preprocessor.read(model, example))

    def evaluate(
        self, examples: Examples, batch_size: int = 32, verbose: Verbose = "auto"
    ) -> dict[str, float]:
        """Measures how many answers are right.

        Returns:
            `exact_match` and `f1` in percent, and the number of `examples`. For span readers these
            are SQuAD's official scores: of version 1.1, or of version 2.0 with its parts, such as
            `HasAns_exact`, if some examples have no answer. If an example has `all_spans`, they are
            DROP's scores of the answers with `all_spans=True`, see `metrics.drop`.

        Raises:
            ValueError: If there are no examples, an example has no answer and the model requires
                one, or the answerer is not fitted.
        """
        check_positive_integers(batch_size=batch_size)
        model, preprocessor = self._fitted()
        data = to_examples(examples)
        return preprocessor.evaluate(model, data, batch_size, _progress(verbose, data))

    def predict(self, examples: Examples) -> list[str]:
        """Returns the best answer to the question of each example as a string.

        It is empty if a span reader finds no answer. The answers of the examples may be missing.
        """
        return [answer.text for answer in self.answer(to_examples(examples), verbose=0)]

    def score(self, examples: Examples, y: Answers | None = None) -> float:
        """Returns `exact_match` of `evaluate` as a fraction between 0 and 1, see `fit` for `y`."""
        data = with_answers(to_examples(examples), y)
        return self.evaluate(data, verbose=0)["exact_match"] / 100.0

    def _fitted(self) -> tuple[QAModel, Preprocessor]:
        if not hasattr(self, "model_"):
            raise ValueError(
                "This answerer is not fitted. Call `fit(examples)` first, or load one with "
                "`keras_qa.load(path)`."
            )
        preprocessor = self.model_.preprocessor
        assert preprocessor is not None
        return self.model_, preprocessor


def _progress(verbose: Verbose, examples: Sequence[Example]) -> Verbose:
    if verbose != "auto":
        return verbose
    has_long = any(len(item.plain_text) >= LONG_TEXT for item in examples)
    return int(len(examples) >= LONG_WORK or has_long)
