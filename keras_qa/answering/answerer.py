"""Strings in, answers out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Unpack, overload

import keras

from keras_qa._arguments import check_positive_integers, to_integer, to_optional_integer
from keras_qa.answering import building
from keras_qa.answering.asking import Asking
from keras_qa.answering.building import Vectors
from keras_qa.answering.estimator import Answers, Estimator
from keras_qa.answering.passage import (
    Answered,
    Examples,
    Passage,
    Questions,
    Text,
    Texts,
    asked,
    shaped,
)
from keras_qa.answering.saving import Saved
from keras_qa.example import Answer, Example, to_examples, with_answers
from keras_qa.models import QAModel
from keras_qa.models.options import Callbacks, Optimizer
from keras_qa.models.pretrained import transformer_of
from keras_qa.models.reader import enable_lora
from keras_qa.tasks import AskOptions, SpanDetails, Task
from keras_qa.tasks.task import Verbose, check_option_names

# From this many questions on, `answer` and `evaluate` show a progress bar.
LONG_WORK = 2_000


class QuestionAnswerer(Estimator, Saved, Asking):
    """Learns from examples and answers questions about texts, strings in and out.

    It is an estimator in the sense of scikit-learn: the arguments are kept as
    they are and checked by `fit`, and `cross_val_score`, `GridSearchCV` and
    `clone` take it.

    Args:
        model: The name of a factory in `keras_qa.models`, which `fit` builds
            anew each time; or a functional `keras.Model` with the inputs
            `text` and `question` and one output of probabilities, or the
            outputs `start` and `end` of a `span_reader`, which `fit` goes on
            training.
        model_options: Arguments for the factory, such as `{"cell": "gru"}`,
            or `{"backbone": "path/to/folder"}` for a `span_reader`.
        vocabulary_size: Most words to tell apart, padding and the unknown
            word included. `None` for all that `fit` sees. Only for models
            without a vocabulary: a loaded model and a backbone have theirs.
        answer_vocabulary_size: For models that answer with words of a
            vocabulary: most answers to tell apart, one for all others
            included. `None` for all that `fit` sees. Only for models without
            a vocabulary.
        seed: Seed of the weights and of the order of training. `None` for a
            new one each time. Sets Keras' global seed when `fit` is called.
        vectors: Word vectors for a `span_reader` from scratch: a
            `text.WordVectors`, or a file that `text.WordVectors.load` reads.
            The first 100,000 of their words are known beside those that `fit`
            sees.
        length: For readers of spans: most positions of a window of the text,
            see `text.Windower`. `None` for what the model was trained with,
            or 384, or what the backbone can read.
        overlap: For readers of spans: how many a window shares with the one
            before. `None` for what the model was trained with, or 128.
        max_answer_words: For readers of spans: most words of an answer, see
            `decoding.SpanDecoder` for scripts without spaces. `None` to find
            it on validation data; without any for 15, or for what the model
            was trained with.
        no_answer_threshold: For readers of spans, where some texts have no
            answer: the probability above which there is none. `None` to find
            it on validation data, and 0.5 without any.

    Attributes:
        model_: The trained `QAModel`.
        vectorizer_: The `Vectorizer`, or for spans the `Windower`, that turns
            strings into its inputs; a part of `model_.task`.
        history_: The `keras.callbacks.History` of the last `fit`.
        calibration_: What was fitted on the validation data of the last `fit`,
            for readers of spans: the `temperature` of the scores, 1.0 unless
            another one helps in a five-fold cross-validation, and how far
            they are from how often answers are right, `calibration_error` and
            `calibration_error_before`; else empty.

    Examples:
        >>> import keras_qa
        >>> stories = keras_qa.datasets.babi.simulate(task=1, examples=50, seed=0)
        >>> qa = keras_qa.QuestionAnswerer(seed=0).fit(stories, epochs=1, verbose=0)
        >>> answer = qa.answer(text="Mary moved to the garden.", question="Where is Mary?")
        >>> 0 < answer.score < 1
        True
    """

    def __init__(
        self,
        model: str | keras.Model = "answer_classifier",
        model_options: Mapping[str, Any] | None = None,
        vocabulary_size: int | None = None,
        answer_vocabulary_size: int | None = None,
        seed: int | None = None,
        vectors: Vectors | None = None,
        length: int | None = None,
        overlap: int | None = None,
        max_answer_words: int | None = None,
        no_answer_threshold: float | None = None,
    ) -> None:
        self.model = model
        self.model_options = model_options
        self.vocabulary_size = vocabulary_size
        self.answer_vocabulary_size = answer_vocabulary_size
        self.seed = seed
        self.vectors = vectors
        self.length = length
        self.overlap = overlap
        self.max_answer_words = max_answer_words
        self.no_answer_threshold = no_answer_threshold

    def fit(
        self,
        examples: Iterable[Example | Mapping[str, Any]],
        y: Answers | None = None,
        *,
        validation_data: Examples | tuple[Examples, Answers] | None = None,
        epochs: int = 20,
        batch_size: int = 32,
        callbacks: Callbacks = None,
        verbose: Verbose = "auto",
        optimizer: Optimizer | Callable[[int], Optimizer] | None = None,
        initial_epoch: int = 0,
        lora_rank: int | None = None,
    ) -> QuestionAnswerer:
        """Builds the vocabulary and the model, and trains it.

        Args:
            examples: `Example` objects, mappings with the same keys, or a
                DataFrame with such columns, each with an answer. For readers
                of spans with its `answer_start`, or without an answer where
                the text has none.
            y: The answers, one entry an example, where `examples` do not hold
                them: a string, or a list of all that count as right.
            validation_data: Examples to measure the loss and accuracy on after
                each epoch; or a tuple `(X, y)` of examples and their answers,
                as the first two arguments. The weights learn nothing from them; readers of
                spans fit on them how sure their scores are, and when there is
                no answer.
            epochs: Number of passes over the examples.
            batch_size: Number of examples a step.
            callbacks: Keras callbacks.
            verbose: As in `keras.Model.fit`: 0 is silent, 1 a progress bar, 2
                a line an epoch.
            optimizer: Optimizer to train with, as `keras.Model.compile` takes
                it; or a function that makes one for a number of rows to train
                on, of which a long text gives several. `None` for the model's
                own.
            initial_epoch: Number of the first epoch, where the ones before it
                have been trained. What they left is not known here: a callback
                has to set it, as `keras_qa.recipes.train` does.
            lora_rank: For readers on a published encoder: train matrices of
                this width beside the encoder's own, which stay as they are,
                see `layers.TransformerEncoder.enable_lora`. `None` to train
                all weights.

        Returns:
            The answerer itself.

        Raises:
            TypeError: If an example is none, or a field has the wrong type.
            ValueError: If there are no examples, one has no answer, or an
                argument of this method or of the constructor is out of its
                range or for models of another kind.
        """
        building.check_options(self.get_params())
        check_positive_integers(batch_size=batch_size)
        for name, value in (("epochs", epochs), ("initial_epoch", initial_epoch)):
            to_integer(name, value, least=0)
        to_optional_integer("lora_rank", lora_rank)
        data = with_answers(to_examples(examples), y)
        validation = _validation_examples(validation_data)
        seed = to_optional_integer("seed", self.seed, least=0, most=2**32 - 1)
        if seed is not None:
            keras.utils.set_random_seed(seed)
        make = building.adopt if isinstance(self.model, keras.Model) else building.build
        model, task = make(self.model, data, self.get_params())
        feed, labels = task.training(model, data)
        validation_feed = task.training(model, validation) if validation else None
        task.expect(data, self.get_params())
        if callable(optimizer) and not isinstance(optimizer, keras.optimizers.Optimizer):
            optimizer = optimizer(len(keras.tree.flatten(feed)[0]))
        if lora_rank is not None:
            enable_lora(transformer_of(model), lora_rank)
        if optimizer is not None or lora_rank is not None:
            building.recompile(model, optimizer or model.optimizer)
        # Before training, so that what Ctrl-C interrupts can be used and saved.
        model.task = task
        self.model_ = model
        self.vectorizer_ = task.vectorizer
        self.calibration_: dict[str, float] = {}
        self.history_ = model.fit(
            feed,
            labels,
            validation_data=validation_feed,
            epochs=epochs,
            batch_size=batch_size,
            callbacks=callbacks,
            verbose=verbose,
            initial_epoch=initial_epoch,
        )
        if validation:
            self.calibration_ = task.calibrate(model, validation, batch_size)
        return self

    @overload
    def answer(  # type: ignore[overload-overlap]
        self,
        text: Text | Example | Mapping[str, Any],
        question: str | None = None,
        top_k: None = None,
        batch_size: int = 32,
        verbose: Verbose = "auto",
        **options: Unpack[AskOptions],
    ) -> Answer: ...

    @overload
    def answer(  # type: ignore[overload-overlap]
        self,
        text: Text | Example | Mapping[str, Any],
        question: str | None = None,
        *,
        top_k: int,
        batch_size: int = 32,
        verbose: Verbose = "auto",
        **options: Unpack[AskOptions],
    ) -> list[Answer]: ...

    @overload
    def answer(
        self,
        text: Texts | Examples,
        question: Questions | None = None,
        top_k: None = None,
        batch_size: int = 32,
        verbose: Verbose = "auto",
        **options: Unpack[AskOptions],
    ) -> list[Answer]: ...

    @overload
    def answer(
        self,
        text: Texts | Examples,
        question: Questions | None = None,
        *,
        top_k: int,
        batch_size: int = 32,
        verbose: Verbose = "auto",
        **options: Unpack[AskOptions],
    ) -> list[list[Answer]]: ...

    def answer(
        self,
        text: Text | Texts | Example | Mapping[str, Any] | Examples,
        question: str | Questions | None = None,
        top_k: int | None = None,
        batch_size: int = 32,
        verbose: Verbose = "auto",
        **options: Unpack[AskOptions],
    ) -> Answered:
        """Answers one question, or many at once.

        Args:
            text: The text: a string, or a list of its sentences. With a list
                of questions: one text for all of them as a string, or a list
                with a text for each. Without `question`: an `Example` or a
                mapping with `text` and `question`, or any iterable of them.
            question: The question, or questions: a list, or any iterable of
                strings.
            top_k: Number of answers a question, best first. `None` for the
                best one alone.
            batch_size: Number of questions a step.
            verbose: 0 is silent, 1 shows a progress bar, `"auto"` shows it for
                many questions.
            **options: For readers of spans, and this call: `max_answer_words`,
                `no_answer`, `whole_words`, `length`, `overlap` and
                `max_question_length`, see `tasks.AskOptions`.

        Returns:
            An `Answer`, or with `top_k` a list of them, best first; for several
            questions a list of either, one entry a question.

        Raises:
            TypeError: If a text or a question is no string, or there is no such option.
            ValueError: If there are not as many texts as questions, an option is out of its
                range or for models of another kind, or there has been no `fit`.
        """
        check_option_names(self.answer, options)
        top_k = to_optional_integer("top_k", top_k)
        check_positive_integers(batch_size=batch_size)
        model, task = self._fitted()
        examples, many = asked(text, question)
        task = building.asked_with(model, task, options)
        if not examples:
            return []
        shown = _shown(verbose, examples)
        ranked = task.answers(model, examples, top_k or 1, batch_size, shown)
        return shaped(ranked, top_k, many)

    def answer_in_detail(
        self, examples: list[Example], batch_size: int = 32, verbose: Verbose = "auto"
    ) -> tuple[list[Answer], SpanDetails | None]:
        """Answers the questions of examples, and says what a report makes use of.

        Args:
            examples: The examples.
            batch_size: As in `answer`.
            verbose: As there.

        Returns:
            The best answer of each, and for readers of spans what they said
            beside it, see `tasks.SpanDetails`.

        Raises:
            ValueError: If there has been no `fit`.
        """
        check_positive_integers(batch_size=batch_size)
        model, task = self._fitted()
        return task.details(model, examples, batch_size, _shown(verbose, examples))

    def read(self, text: Text) -> Passage:
        """Reads a text once, to ask many questions about it.

        What the model computes from the text alone is kept, and a question
        costs only what depends on it.

        Args:
            text: The text: a string, or a list of its sentences.

        Returns:
            A `Passage`. It answers with the weights that the model has now.

        Raises:
            TypeError: If the text is no string.
            ValueError: If there has been no `fit`.
        """
        model, task = self._fitted()
        example = Example(text, "")  # type: ignore[arg-type]
        return Passage(example, task.read(model, example))

    def evaluate(
        self,
        examples: Iterable[Example | Mapping[str, Any]],
        batch_size: int = 32,
        verbose: Verbose = "auto",
    ) -> dict[str, float]:
        """Measures how many answers are right.

        Args:
            examples: Examples with answers.
            batch_size: Number of questions a step.
            verbose: As in `answer`.

        Returns:
            `exact_match` and `f1`, in percent as the SQuAD evaluation gives
            them, and `examples`, how many there were. For readers of spans
            these are the official scores: of version 1.1, and where some
            examples have no answer of version 2.0, with those of its parts,
            `HasAns_exact` and so on.

        Raises:
            ValueError: If there are no examples, one has no answer and the
                model must give one, or there has been no `fit`.
        """
        check_positive_integers(batch_size=batch_size)
        model, task = self._fitted()
        data = to_examples(examples)
        return task.evaluate(model, data, batch_size, _shown(verbose, data))

    def _fitted(self) -> tuple[QAModel, Task]:
        if not hasattr(self, "model_"):
            raise ValueError(
                "This answerer has learned nothing yet. Call `fit(examples)` first, or load one "
                "with `keras_qa.load(path)`."
            )
        return self.model_, _task_of(self.model_)


def _task_of(model: QAModel) -> Task:
    assert model.task is not None
    return model.task


def _validation_examples(
    data: Examples | tuple[Examples, Answers] | None,
) -> list[Example] | None:
    if data is None:
        return None
    # A tuple of two examples is a sequence of examples.
    is_pair = isinstance(data, tuple) and len(data) == 2
    if is_pair and not isinstance(data[0], (Example, Mapping)):  # type: ignore[index]
        examples, answers = data
        return with_answers(to_examples(examples), answers, "`y` of `validation_data`")  # type: ignore[arg-type]
    return to_examples(data)  # type: ignore[arg-type]


def _shown(verbose: Verbose, examples: Sequence[Example]) -> Verbose:
    return int(len(examples) >= LONG_WORK) if verbose == "auto" else verbose
