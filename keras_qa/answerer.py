"""Strings in, answers out."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import keras
import numpy as np

from keras_qa import batching, decoding, inputs, metrics, models, saving
from keras_qa.example import Answer, Example, Support, answered_examples, to_examples
from keras_qa.models import QAModel
from keras_qa.models.evidence import Evidence
from keras_qa.models.splitting import SplitModel
from keras_qa.text import Vectorizer, sentence_spans

FACTORIES: dict[str, Callable[..., QAModel]] = {
    "answer_classifier": models.answer_classifier,
    "memory_network": models.memory_network,
    "universal_transformer": models.universal_transformer,
}

# From this many questions on, `answer` and `evaluate` show a progress bar.
LONG_WORK = 2_000


class QuestionAnswerer:
    """Learns from examples and answers questions about texts, strings in and out.

    Args:
        model: The name of a factory in `keras_qa.models`, which `fit` builds
            anew each time; or a functional `keras.Model` with the inputs
            `text` and `question` and one output of probabilities, which `fit`
            goes on training.
        model_options: Arguments for the factory, such as `{"cell": "gru"}`.
        vocabulary_size: Most words to tell apart, padding and the unknown
            word included. `None` for all that `fit` sees.
        answer_vocabulary_size: Most answers to tell apart, one for all others
            included. `None` for all that `fit` sees.
        seed: Seed of the weights and of the order of training. `None` for a
            new one each time. Sets Keras' global seed when `fit` is called.

    Attributes:
        model_: The trained `QAModel`.
        vectorizer_: The `Vectorizer` that turns strings into its inputs.
        history_: The `keras.callbacks.History` of the last `fit`.

    Example:

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
    ) -> None:
        self.model = model
        self.model_options = model_options
        self.vocabulary_size = vocabulary_size
        self.answer_vocabulary_size = answer_vocabulary_size
        self.seed = seed

    def fit(
        self,
        examples: Iterable[Example | Mapping[str, Any]],
        validation_data: Iterable[Example | Mapping[str, Any]] | None = None,
        epochs: int = 20,
        batch_size: int = 32,
        callbacks: Any = None,
        verbose: Any = "auto",
        optimizer: Any = None,
        initial_epoch: int = 0,
    ) -> QuestionAnswerer:
        """Builds the vocabulary and the model, and trains it.

        Args:
            examples: `Example` objects, or mappings with the same keys, each
                with an answer.
            validation_data: Examples to measure the loss and accuracy on after
                each epoch. Nothing is learned from them.
            epochs: Number of passes over the examples.
            batch_size: Number of examples a step.
            callbacks: Keras callbacks.
            verbose: As in `keras.Model.fit`: 0 is silent, 1 a progress bar, 2
                a line an epoch.
            optimizer: Optimizer to train with, as `keras.Model.compile` takes
                it. `None` for the model's own.
            initial_epoch: Number of the first epoch, where the ones before it
                have been trained. What they left is not known here: a callback
                has to set it, as `keras_qa.recipes.train` does.

        Returns:
            The answerer itself.

        Raises:
            TypeError: If an example is none, or a field has the wrong type.
            ValueError: If there are no examples, one has no answer, or an
                argument is out of its range.
        """
        data = to_examples(examples)
        validation = to_examples(validation_data) if validation_data is not None else None
        if self.seed is not None:
            keras.utils.set_random_seed(self.seed)
        model = self._untrained(data, optimizer)
        vectorizer = model.vectorizer
        # Before training, so that what Ctrl-C interrupts can be used and saved.
        self.model_ = model
        self.vectorizer_ = vectorizer
        self.history_ = model.fit(
            vectorizer(data),
            _labels(model, data),
            validation_data=(
                (vectorizer(validation), _labels(model, validation)) if validation else None
            ),
            epochs=epochs,
            batch_size=batch_size,
            callbacks=callbacks,
            verbose=verbose,
            initial_epoch=initial_epoch,
        )
        return self

    def answer(
        self,
        text: str | Sequence[Any],
        question: str | Sequence[str],
        top_k: int | None = None,
        batch_size: int = 32,
        verbose: Any = "auto",
    ) -> Any:
        """Answers one question, or many at once.

        Args:
            text: The text: a string, or a list of its sentences. With a list
                of questions: one text for all of them as a string, or a list
                with a text for each.
            question: The question, or a list of questions.
            top_k: Number of answers a question, best first. `None` for the
                best one alone.
            batch_size: Number of questions a step.
            verbose: 0 is silent, 1 shows a progress bar, `"auto"` shows it for
                many questions.

        Returns:
            An `Answer`, or with `top_k` a list of them, best first; for a list
            of questions a list of either, one entry a question.

        Raises:
            TypeError: If a text or a question is no string.
            ValueError: If there are not as many texts as questions, or there
                has been no `fit`.
        """
        _check_top_k(top_k)
        many = not isinstance(question, str)
        examples = _asked(text, question) if many else [Example(text, question)]  # type: ignore
        ranked = self._answers(examples, top_k or 1, batch_size, verbose)
        return _shaped(ranked, top_k, many)

    def read(self, text: str | Sequence[str]) -> Passage:
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
        self._check_fitted()
        return Passage(self, Example(text, ""))  # type: ignore[arg-type]

    def evaluate(
        self,
        examples: Iterable[Example | Mapping[str, Any]],
        batch_size: int = 32,
        verbose: Any = "auto",
    ) -> dict[str, float]:
        """Measures how many answers are right.

        Args:
            examples: Examples with answers.
            batch_size: Number of questions a step.
            verbose: As in `answer`.

        Returns:
            `exact_match` and `f1`, in percent as the SQuAD evaluation gives
            them, and `examples`, how many there were.

        Raises:
            ValueError: If there are no examples, one has no answer, or there
                has been no `fit`.
        """
        data = answered_examples(examples)
        found = self._answers(data, 1, batch_size, verbose, explain=False)
        predictions = [answers[0].text for answers in found]
        pairs = list(zip(predictions, data, strict=True))
        return {
            "exact_match": _percent(
                metrics.exact_match(text, item.answers) for text, item in pairs
            ),
            "f1": _percent(metrics.f1(text, item.answers) for text, item in pairs),
            "examples": len(data),
        }

    def save(self, path: str | os.PathLike[str]) -> None:
        """Saves weights, vocabulary and settings as one `.keras` file, for any backend.

        Args:
            path: Where to. Must end in `.keras`.

        Raises:
            ValueError: If the path does not end so, or there has been no `fit`.
        """
        if not str(path).endswith(".keras"):
            raise ValueError(f"`path` must end in `.keras`. Received: path={str(path)!r}.")
        self._check_fitted()
        self.model_.save(path)

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """The constructor's arguments, as scikit-learn's estimators give them."""
        return {name: getattr(self, name) for name in _defaults()}

    def __repr__(self) -> str:
        shown = []
        for name, value in self.get_params().items():
            if value != _defaults()[name]:
                model = isinstance(value, keras.Model)
                shown.append(f"{name}=<{value.name}>" if model else f"{name}={value!r}")
        return f"{type(self).__name__}({', '.join(shown)})"

    def _untrained(self, data: list[Example], optimizer: Any) -> QAModel:
        if isinstance(self.model, keras.Model):
            if self.model_options:
                raise ValueError(
                    "`model_options` are for a factory, but `model` is a model already. "
                    "Pass the options where you build it."
                )
            return self._adopted(self.model, data, optimizer)
        if self.model not in FACTORIES:
            raise ValueError(
                f"`model` must be a `keras.Model` or one of "
                f"{', '.join(map(repr, FACTORIES))}. Received: model={self.model!r}."
            )
        vectorizer = Vectorizer(self.vocabulary_size, self.answer_vocabulary_size).adapt(data)
        words = vectorizer.tokenizer.vocabulary_size
        sizes = {
            "text_vocabulary_size": words,
            "answer_vocabulary_size": len(vectorizer.answers),
        }
        if self.model == "answer_classifier":
            # The others look up the words of both in one table.
            sizes["question_vocabulary_size"] = words
        options = dict(self.model_options or {})
        if optimizer is not None:
            options["optimizer"] = optimizer
        model = FACTORIES[self.model](**sizes, **options)
        vectorizer.sentences = _reads_sentences(model)
        model.vectorizer = vectorizer
        return model

    def _adopted(self, model: keras.Model, data: list[Example], optimizer: Any) -> QAModel:
        names = [tensor.name for tensor in model.inputs]
        several = len(model.outputs) != 1
        if several and isinstance(model.output, Mapping):
            several = sorted(model.output) != ["answer", "support"]
        if sorted(names) != ["question", "text"] or several:
            raise ValueError(
                "`model` must have the inputs `text` and `question` and one output, or a dict of "
                "the outputs `answer` and `support`. Received: "
                f"inputs {', '.join(f'`{name}`' for name in names)} and "
                f"{len(model.outputs)} outputs."
            )
        if not isinstance(model, QAModel):
            plain = model
            outputs = plain.output if isinstance(plain.output, Mapping) else plain.outputs[0]
            model = QAModel(inputs=plain.inputs, outputs=outputs, name=plain.name)
            if plain.compiled:
                model.compile_from_config(plain.get_compile_config())
            else:
                model.compile("rmsprop", "sparse_categorical_crossentropy", metrics=["accuracy"])
        if optimizer is not None:
            compiled = model.get_compile_config()
            optimizer = keras.optimizers.get(optimizer)
            compiled["optimizer"] = keras.saving.serialize_keras_object(optimizer)
            model.compile_from_config(compiled)
        if model.vectorizer is None:
            tables = (item.vocabulary_size for item in inputs.model_inputs(model))
            sizes = [size for size in (*tables, self.vocabulary_size) if size is not None]
            output = model.output
            classes = (output["answer"] if isinstance(output, Mapping) else output).shape[-1]
            answers = min(self.answer_vocabulary_size or classes, classes)
            model.vectorizer = Vectorizer(
                min(sizes, default=None), answers, sentences=_reads_sentences(model)
            ).adapt(data)
        return model

    def _check_fitted(self) -> None:
        if not hasattr(self, "model_"):
            raise ValueError(
                "This answerer has learned nothing yet. Call `fit(examples)` first, or load one "
                "with `keras_qa.load(path)`."
            )

    def _answers(
        self,
        examples: list[Example],
        count: int,
        batch_size: int,
        verbose: Any,
        explain: bool = True,
    ) -> list[list[Answer]]:
        self._check_fitted()
        if not examples:
            return []
        if verbose == "auto":
            verbose = int(len(examples) >= LONG_WORK)
        feed = self.vectorizer_(examples)
        evidence = self._evidence() if explain else None
        if evidence is not None:
            found = evidence.predict(feed, batch_size, verbose)
            return self._decoded(found["answer"], examples, count, found["support"])
        outputs = self.model_.predict(feed, batch_size=batch_size, verbose=verbose)
        if isinstance(outputs, dict):
            outputs = outputs["answer"]
        return self._decoded(outputs, examples, count)

    def _evidence(self) -> Evidence | None:
        if not self.vectorizer_.sentences:
            return None
        try:
            return self.model_.evidence()
        except NotImplementedError:
            return None

    def _decoded(
        self,
        probabilities: np.ndarray,
        examples: list[Example],
        count: int,
        weights: np.ndarray | None = None,
    ) -> list[list[Answer]]:
        words = self.vectorizer_.answers
        # Label 0 stands for answers nobody named. What is left adds up to one again. A model
        # given by the user may have more classes than there are answers.
        known = np.array(probabilities[:, 1 : len(words)], "float64")
        known /= np.maximum(known.sum(axis=1, keepdims=True), np.finfo("float64").tiny)
        best = decoding.top_k(known, count)
        support = [()] * len(examples) if weights is None else map(_support, examples, weights)
        return [
            [_located(words[place + 1], float(known[row, place]), item, facts) for place in places]
            for row, (places, item, facts) in enumerate(zip(best, examples, support, strict=True))
        ]


class Passage:
    """A text that was read, and can be asked. Made by `QuestionAnswerer.read`.

    Example:

    >>> import keras_qa
    >>> stories = keras_qa.datasets.babi.simulate(task=1, examples=50, seed=0)
    >>> qa = keras_qa.QuestionAnswerer(seed=0).fit(stories, epochs=1, verbose=0)
    >>> passage = qa.read("Mary moved to the garden.")
    >>> passage.ask("Where is Mary?") == qa.answer("Mary moved to the garden.", "Where is Mary?")
    True
    """

    def __init__(self, answerer: QuestionAnswerer, example: Example) -> None:
        self.text = example.plain_text
        self._example = example
        self._answerer = answerer
        self._parts: SplitModel | None = None
        try:
            self._parts = answerer.model_.split("text")
        except NotImplementedError:
            # Nothing can be kept: a question then costs as much as in `answer`.
            return
        feed = inputs.to_arrays(answerer.vectorizer_([example]), answerer.model_)
        self._vectors = self._parts.encode(batching.fitted(feed["text"]))

    def ask(self, question: str | Sequence[str], top_k: int | None = None) -> Any:
        """Answers one question about the text, or many at once.

        Args:
            question: The question, or a list of questions.
            top_k: Number of answers a question, best first. `None` for the
                best one alone.

        Returns:
            As `QuestionAnswerer.answer` gives.

        Raises:
            TypeError: If a question is no string.
            ValueError: If `top_k` is not positive.
        """
        _check_top_k(top_k)
        many = not isinstance(question, str)
        if many and (not isinstance(question, Iterable) or isinstance(question, (Mapping, bytes))):
            raise TypeError(
                f"`question` must be a string or a list of strings. Received: {question!r}."
            )
        text = self._example.text
        asked: Any = question if many else [question]
        examples = [Example(text, item) for item in asked]
        if not examples:
            return []
        if self._parts is None:
            ranked = self._answerer._answers(examples, top_k or 1, 32, 0)
            return _shaped(ranked, top_k, many)
        ids = self._answerer.vectorizer_.ids([item.question for item in examples])
        rows = batching.filled(batching.fitted(ids))
        vectors = [np.repeat(vector, len(rows), axis=0) for vector in self._vectors]
        outputs = self._parts.finish(vectors, [rows])
        probabilities = outputs["answer"] if isinstance(outputs, Mapping) else outputs
        ranked = self._answerer._decoded(probabilities[: len(examples)], examples, top_k or 1)
        return _shaped(ranked, top_k, many)


def load(path: str | os.PathLike[str]) -> QuestionAnswerer:
    """Loads an answerer that `QuestionAnswerer.save` saved, on whichever backend.

    The file is refused, and nothing in it executed, if it is damaged or holds
    code.

    Args:
        path: The `.keras` file.

    Returns:
        A `QuestionAnswerer`. Its `fit` goes on training the loaded model.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is refused, or holds no answerer.

    Example:

    >>> import os, tempfile, keras_qa
    >>> stories = keras_qa.datasets.babi.simulate(task=1, examples=50, seed=0)
    >>> path = os.path.join(tempfile.mkdtemp(), "qa.keras")
    >>> keras_qa.QuestionAnswerer(seed=0).fit(stories, epochs=1, verbose=0).save(path)
    >>> keras_qa.load(path)
    QuestionAnswerer(model=<answer_classifier>)
    """
    model = saving.load_model(path)
    if not isinstance(model, QAModel) or model.vectorizer is None:
        raise ValueError(
            f"`{path}` holds a model, but no vocabulary to ask it with strings. "
            "Load it with `keras.saving.load_model`, or save a `QuestionAnswerer`."
        )
    answerer = QuestionAnswerer(model)
    answerer.model_ = model
    answerer.vectorizer_ = model.vectorizer
    return answerer


def _labels(model: QAModel, examples: list[Example]) -> Any:
    labels = model.vectorizer.labels(examples)
    if not isinstance(model.output, Mapping):
        return labels
    return {"answer": labels, "support": model.vectorizer.support(examples)}


def _reads_sentences(model: keras.Model) -> bool:
    return any(tensor.name == "text" and len(tensor.shape) == 3 for tensor in model.inputs)


def _shaped(ranked: list[list[Answer]], top_k: int | None, many: bool) -> Any:
    """One answer a question without `top_k`, and no list around what one question got."""
    results = ranked if top_k is not None else [answers[0] for answers in ranked]
    return results if many else results[0]


def _check_top_k(top_k: int | None) -> None:
    if top_k is not None and (not isinstance(top_k, int) or top_k < 1):
        raise ValueError(f"`top_k` must be a positive integer. Received: top_k={top_k!r}.")


def _defaults() -> dict[str, Any]:
    parameters = inspect.signature(QuestionAnswerer).parameters
    return {name: parameter.default for name, parameter in parameters.items()}


def _asked(text: Any, questions: Sequence[str]) -> list[Example]:
    for name, value in (("text", text), ("question", questions)):
        if not isinstance(value, Iterable) or isinstance(value, (Mapping, bytes)):
            raise TypeError(f"`{name}` must be a string or a list of strings. Received: {value!r}.")
    questions = list(questions)
    texts = [text] * len(questions) if isinstance(text, str) else list(text)
    if len(texts) != len(questions):
        raise ValueError(
            f"`text` holds {len(texts)} texts, but `question` holds {len(questions)} questions. "
            "Give a text for each, or one string for all of them."
        )
    return [Example(*pair) for pair in zip(texts, questions, strict=True)]


def _located(answer: str, score: float, item: Example, support: tuple[Support, ...]) -> Answer:
    start, end = decoding.find_mention(item.plain_text, answer) or (None, None)
    return Answer(answer, score, start, end, support)


def _support(item: Example, weights: np.ndarray) -> tuple[Support, ...]:
    text = item.plain_text
    sentences = [
        Support(text[start:end], float(weight), start, end, position)
        for position, ((start, end), weight) in enumerate(
            zip(sentence_spans(item.text), weights, strict=False)
        )
    ]
    return tuple(sorted(sentences, key=lambda sentence: -sentence.weight))


def _percent(values: Iterable[float]) -> float:
    values = list(values)
    return 100.0 * sum(values) / len(values)
