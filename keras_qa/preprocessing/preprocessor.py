"""`Preprocessor`: what each kind of answer defines, and the types that the kinds share."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Mapping
from typing import Any, ClassVar, NamedTuple, Self, TypeAlias, Unpack

import numpy as np

from keras_qa._arguments import entry, must_be
from keras_qa.example import Answer, Example
from keras_qa.preprocessing.ask_calibration import AskCalibration, AskOptions, check_option_names
from keras_qa.text import Vectorizer, Windower

# The answers to each question, best first.
RankedAnswers = list[list[Answer]]

# Takes examples with one text, and the number of answers to each.
Ask = Callable[[list[Example], int], RankedAnswers]

# 0 is silent; any other value shows progress.
Verbose = int | str

# The outputs of a model: one array, or arrays by name.
Outputs = np.ndarray | Mapping[str, np.ndarray]

# The arguments of `QuestionAnswerer`, by name.
Options = Mapping[str, Any]


# A functional `keras.Model` with named inputs. This room does not import Keras.
Model: TypeAlias = Any

# What a model computes, by its name in `transformers`, with the suffix of its classes there.
SPANS = "question_answering"
SEQUENCE = "sequence_classification"
TOKENS = "token_classification"
CHOICE = "multiple_choice"
TASKS = {
    SPANS: "ForQuestionAnswering",
    SEQUENCE: "ForSequenceClassification",
    TOKENS: "ForTokenClassification",
    CHOICE: "ForMultipleChoice",
}

# Number of characters from which the progress in a text is shown.
LONG_TEXT = 1_000_000

# Number of questions that are read at a time if no other is given.
BATCH_SIZE = 32


@dataclasses.dataclass(frozen=True)
class SpanDetails:
    """What a span reader computes besides the answers: the best spans and probabilities of none.

    An answer is empty if the probability `no_answer` is above `threshold`.
    """

    spans: list[str]
    no_answer: list[float]
    threshold: float


class PassageSpan(NamedTuple):
    """A span `passage[start:end]`, and the log-odds between it and no answer in the passage.

    An answer type such as "yes" has no place: `start` is -1.
    """

    text: str
    start: int
    end: int
    odds: float


class Preprocessor:
    """A kind of answer: examples to the inputs of a model, and its outputs to answers.

    Attributes:
        name: Its name in a `.keras` file.
        description: What the model does, for messages.
        kind: The models of this kind, for messages about options of `QuestionAnswerer`.
        options: The options of `QuestionAnswerer` that only such models take.
        answer_options: The options of `QuestionAnswerer.answer` that such models take, besides
            those that all take.
        answers_questions: Whether it answers questions, rather than sorts texts.
        compares_passages: Whether the scores of several passages can be compared, as
            `QuestionAnswerer.ask` does.
        exported_as: The task in exported folders. `None` for that of the model's head.
        vectorizer: Makes the inputs of the model.
        asking: The result of `QuestionAnswerer.calibrate` for an index of documents, or `None`.
    """

    name: ClassVar[str]
    description: ClassVar[str]
    kind: ClassVar[str] = ""
    options: ClassVar[tuple[str, ...]] = ()
    answer_options: ClassVar[tuple[str, ...]] = ()
    answers_questions: ClassVar[bool] = True
    compares_passages: ClassVar[bool] = False
    exported_as: ClassVar[str | None] = None
    vectorizer: Vectorizer | Windower
    asking: AskCalibration | None = None

    # To build a model and its preprocessor, see `answering.building`.

    @classmethod
    def fits(cls, model: Model) -> bool:
        """Whether a model without a preprocessor has the outputs of this one."""
        return getattr(model, "preprocessor_name", None) == cls.name

    @classmethod
    def train(
        cls, examples: list[Example], sizes: tuple[int | None, int | None], words: list[str]
    ) -> Self:
        """Returns a preprocessor with a vocabulary for examples and more words.

        The sizes are the most words and, for some kinds, the most answers.
        """
        raise NotImplementedError

    def sizes(self) -> dict[str, int]:
        """Returns the sizes of the vocabulary, by the names of arguments of factories."""
        assert self.vectorizer.tokenizer is not None
        return {"text_vocabulary_size": self.vectorizer.tokenizer.vocabulary_size}

    def attach(self, model: Model) -> None:
        """Sets what depends on the model, after `train`."""

    def for_questions(self, model: Model) -> Preprocessor:
        """Returns the preprocessor with which a model answers questions: this one, or another."""
        return self

    def configure(self, examples: list[Example], options: Options) -> None:
        """Sets what does not need training, before a model is trained on examples."""

    @classmethod
    def to_training_examples(cls, examples: list[Example], lenient: bool) -> list[Example]:
        """Returns examples to train on, or raises if such models cannot learn them.

        `lenient` leaves out examples that lack something, with a warning.
        """
        return examples

    def make_training_data(self, model: Model, examples: list[Example]) -> tuple[Any, Any]:
        """Returns inputs and labels for `fit`."""
        raise NotImplementedError

    # To answer.

    def check_given(self, **is_given: bool) -> None:
        """Raises for the first given option of `answer` that such models do not take."""
        for name, is_used in is_given.items():
            if is_used and name not in self.answer_options:
                kind = "multiple-choice models" if name == "choices" else "span readers"
                raise ValueError(
                    f"`{name}` is for {kind}, but the model {self.description}. Leave it out."
                )

    def with_options(self, model: Model, **options: Unpack[AskOptions]) -> Self:
        """Returns a preprocessor with other options, or this one if all are `None`.

        Raises:
            TypeError: If an option is unknown.
            ValueError: If the model does not take an option, or it is out of its range.
        """
        check_option_names(self.with_options, options)
        changes = {name: value for name, value in options.items() if value is not None}
        self.check_given(**dict.fromkeys(changes, True))
        return self.apply_options(model, changes) if changes else self

    def apply_options(self, model: Model, options: Mapping[str, Any]) -> Self:
        """Returns a preprocessor with other options, of which there is at least one."""
        raise NotImplementedError

    def answer(
        self, model: Model, examples: list[Example], count: int, batch_size: int, verbose: Verbose
    ) -> RankedAnswers:
        """Returns the best answers to each example, best first."""
        raise NotImplementedError

    def answer_all(
        self, model: Model, examples: list[Example], batch_size: int, verbose: Verbose
    ) -> RankedAnswers:
        """Returns all answers to each example, best first."""
        raise NotImplementedError

    def answer_in_detail(
        self, model: Model, examples: list[Example], batch_size: int, verbose: Verbose
    ) -> tuple[list[Answer], SpanDetails | None]:
        """Returns the best answer to each example, and details of a report if there are any."""
        return [row[0] for row in self.answer(model, examples, 1, batch_size, verbose)], None

    def read(self, model: Model, example: Example) -> Ask:
        """Encodes a text if the model can be split there. Returns what answers questions on it."""

        def ask(examples: list[Example], count: int) -> RankedAnswers:
            return self.answer(model, examples, count, BATCH_SIZE, 0)

        return ask

    def evaluate(
        self, model: Model, examples: list[Example], batch_size: int, verbose: Verbose
    ) -> dict[str, float]:
        """Returns `exact_match`, `f1` and the number of `examples`."""
        raise NotImplementedError

    # To answer from several passages.

    def for_documents(self, model: Model, options: AskOptions) -> Self:
        """Returns a preprocessor with options, to read passages of documents."""
        self.with_options(model, **options)
        raise ValueError(
            f"Only span readers answer from documents, but this model {self.description}."
        )

    @property
    def knows_no_answer(self) -> bool:
        """Whether a text may have no answer."""
        return False

    def read_passages(
        self, model: Model, examples: list[Example], batch_size: int
    ) -> list[list[PassageSpan]]:
        """Returns what may answer the question of each example in its passage, best first.

        The passage is the text, or the last of a list. What precedes it, such as headings, is only
        read.
        """
        raise NotImplementedError

    # To fit settings, and to save them.

    def calibrate(
        self, model: Model, examples: list[Example], batch_size: int, options: Options | None = None
    ) -> dict[str, float]:
        """Fits settings to validation data, except those that `options` has.

        Returns:
            The `temperature`, and the expected calibration error with and without it,
            `calibration_error` and `calibration_error_before`; or nothing.
        """
        return {}

    def recalibrate(self, model: Model, examples: list[Example], batch_size: int) -> None:
        """Fits settings again for a model that was changed, such as quantized."""
        self.calibrate(model, examples, batch_size)

    def max_length(self, limit: int) -> int:
        """Returns the maximum number of positions of an encoder that has this limit."""
        return limit

    def get_config(self) -> dict[str, Any]:
        """Returns the config that `from_config` takes."""
        return {"vectorizer": self.vectorizer.get_config()}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """Creates a preprocessor from its config."""
        raise NotImplementedError


def plain_texts(examples: Collection[Example]) -> list[str]:
    """Returns the texts and questions of examples, which make the vocabulary of a model."""
    return [text for item in examples for text in (item.plain_text, item.question)]


def select_inputs(model: Model, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Returns the arrays that a model has inputs for."""
    arrays = dict(arrays)
    if "padding_mask" in arrays:
        # Padding is id 0 in every model, whatever id the tokenizer uses for it, so that batches can
        # be trimmed.
        arrays["token_ids"] = arrays["token_ids"] * arrays["padding_mask"]
    return {tensor.name: arrays[tensor.name] for tensor in model.inputs}


# Each kind of answer, by the name that files give it.
PREPROCESSORS: dict[str, type[Preprocessor]] = {}

# The functions that build models, by the names that `QuestionAnswerer` takes, and their kinds of
# answer.
FACTORIES: dict[str, tuple[Callable[..., Model], type[Preprocessor]]] = {}


def register(
    preprocessor: type[Preprocessor], factories: Mapping[str, Callable[..., Model]] | None = None
) -> type[Preprocessor]:
    """Adds a kind of answer.

    Args:
        preprocessor: A subclass of `Preprocessor`. Saved models refer to it by its `name`.
        factories: Functions that build models with such answers, by the names that the argument
            `model` of `QuestionAnswerer` takes.

    Returns:
        The class.

    Raises:
        TypeError: If `preprocessor` is not a subclass of `Preprocessor`.
        ValueError: If it has no `name` or no `description`, or another class or function has the
            name.

    Examples:
        >>> from keras_qa.preprocessing import WordPreprocessor, register
        >>> class Labels(WordPreprocessor):
        ...     name = "labels"
        >>> register(Labels).name
        'labels'
    """
    if not isinstance(preprocessor, type) or not issubclass(preprocessor, Preprocessor):
        raise TypeError(must_be("preprocessor", "a subclass of `Preprocessor`", preprocessor))
    for attribute in ("name", "description"):
        if not isinstance(getattr(preprocessor, attribute, None), str):
            raise ValueError(
                f"`{preprocessor.__name__}` has no `{attribute}`. Set this attribute to a string."
            )
    name = preprocessor.name
    if PREPROCESSORS.get(name, preprocessor) is not preprocessor:
        raise ValueError(f"Another class has `name={name!r}`. Choose another name.")
    added = {other: (make, preprocessor) for other, make in (factories or {}).items()}
    for other, entries in added.items():
        if FACTORIES.get(other, entries) != entries:
            raise ValueError(f"Another factory is called {other!r}. Choose another name.")
    PREPROCESSORS[name] = preprocessor
    FACTORIES.update(added)
    return preprocessor


def find_preprocessor(model: Model) -> type[Preprocessor]:
    """Returns the kind of answers that a model gives, by its preprocessor or its outputs."""
    own = getattr(model, "preprocessor", None)
    # A model of KerasHub may have a preprocessor of another class.
    if isinstance(own, Preprocessor):
        return type(own.for_questions(model))
    return next(
        (kind for kind in PREPROCESSORS.values() if kind.fits(model)), PREPROCESSORS["words"]
    )


def serialize(preprocessor: Preprocessor) -> dict[str, Any]:
    """Returns the config that `deserialize` takes."""
    return {"name": preprocessor.name, **preprocessor.get_config()}


def deserialize(config: Mapping[str, Any]) -> Preprocessor:
    """Creates a preprocessor from the result of `serialize`."""
    if not isinstance(config, Mapping):
        raise ValueError(must_be("preprocessor", "an object", config))
    settings = dict(config)
    entry(settings, "name", str)
    name = settings.pop("name")
    if name not in PREPROCESSORS:
        raise ValueError(
            f"The file has a preprocessor {name!r:.80}, but this version of keras-qa knows only "
            f"{', '.join(map(repr, PREPROCESSORS))}. Install a newer version."
        )
    return PREPROCESSORS[name].from_config(settings)
