"""What every way of answering offers, and what it needs of the model that it asks."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Protocol, Self, TypedDict, Unpack

import numpy as np

from keras_qa.example import Answer, Example

# The best answers of each question, best first.
Ranked = list[list[Answer]]

# 0 is silent, anything else shows progress.
Verbose = int | str

# The arrays of a model's one output, or of each by name.
Outputs = np.ndarray | Mapping[str, np.ndarray]

# What gives the best answers to some questions about a text that was read, so many for each.
Ask = Callable[[list[Example], int], Ranked]


class Parts(Protocol):
    """A model that is cut behind what depends on the text alone: `QAModel.split` gives it."""

    def encode(self, array: np.ndarray) -> list[np.ndarray]: ...

    def finish(self, vectors: list[np.ndarray], arrays: list[np.ndarray]) -> Outputs: ...


class Evidence(Protocol):
    """A model that also says what its answers rest on: `QAModel.evidence` gives it."""

    def predict(
        self, x: Mapping[str, np.ndarray], batch_size: int, verbose: Verbose
    ) -> dict[str, np.ndarray]: ...


class Model(Protocol):
    """What a task needs of the model that it asks: a `QAModel` has it."""

    inputs: Sequence[Any]
    output: Any

    def predict(
        self,
        x: Mapping[str, np.ndarray],
        batch_size: int | None = None,
        verbose: Verbose = "auto",
        length_buckets: bool = True,
    ) -> Outputs: ...

    def split(self, name: str) -> Parts: ...

    def evidence(self) -> Evidence: ...


@dataclasses.dataclass(frozen=True)
class SpanDetails:
    """What a reader of spans says beside its answers.

    Args:
        before: The best answer to each question with a temperature of 1.
        spans: The text of the best span of each, whether there is an answer
            or not.
        no_answer: The probability of no answer of each.
        threshold: The probability of no answer above which there is none.
    """

    before: list[Answer]
    spans: list[str]
    no_answer: list[float]
    threshold: float


class AskOptions(TypedDict, total=False):
    """How a reader of spans answers, for one call. What is `None` is as the reader has it.

    Attributes:
        max_answer_words: Most words of an answer, punctuation marks included. Where words have no
            spaces between them, some letters count as one, see `decoding.SpanDecoder`.
        no_answer: Whether a text may have no answer.
        whole_words: Whether answers begin and end with words, rather than with pieces of them.
        length: Most positions of a window, see `text.Windower`.
        overlap: How many a window shares with the one before.
        max_question_length: Most pieces of a question; those beyond are cut off.
    """

    max_answer_words: int | None
    no_answer: bool | None
    whole_words: bool | None
    length: int | None
    overlap: int | None
    max_question_length: int | None


def check_option_names(call: Callable[..., object], options: Mapping[str, object]) -> None:
    """Raises a `TypeError` if options hold a name that is not in `AskOptions`.

    Args:
        call: The method that takes them as `**options`. Its own options are listed as well.
        options: The options.
    """
    unknown = [name for name in options if name not in AskOptions.__annotations__]
    if unknown:
        parameters = inspect.signature(call).parameters.values()
        own = [item.name for item in parameters if item.default is not item.empty]
        known = ", ".join(f"`{name}`" for name in (*own, *AskOptions.__annotations__))
        raise TypeError(f"There is no option `{unknown[0]:.40}`. The options are {known}.")


class Task(Protocol):
    """A way of answering: feeds from examples, answers from outputs, and how sure these are.

    A model has one, which is saved with it.

    Attributes:
        name: What a `.keras` file calls it.
        does: What it does, for messages.
        options: Names of the options of `QuestionAnswerer` that it alone takes.
        vectorizer: What turns strings into the model's inputs.
    """

    name: ClassVar[str]
    does: ClassVar[str]
    options: ClassVar[tuple[str, ...]]
    vectorizer: Any

    def expect(self, examples: list[Example], options: Mapping[str, Any]) -> None:
        """Sets how answers are found, after examples like those to come."""

    def asked_with(self, **options: Unpack[AskOptions]) -> Self:
        """The same way of answering, but for what some options ask."""

    def training(self, model: Model, examples: list[Example]) -> tuple[Any, Any]:
        """The feed and the labels of examples to train on."""

    def calibrate(
        self, model: Model, validation: list[Example], batch_size: int
    ) -> dict[str, float]:
        """Fits what makes scores mean something on validation data, and says what came of it."""

    def answers(
        self, model: Model, examples: list[Example], count: int, batch_size: int, verbose: Verbose
    ) -> Ranked:
        """The best answers of each example, best first."""

    def details(
        self, model: Model, examples: list[Example], batch_size: int, verbose: Verbose
    ) -> tuple[list[Answer], SpanDetails | None]:
        """The best answer of each example, and what a report says beside it."""

    def evaluate(
        self, model: Model, examples: list[Example], batch_size: int, verbose: Verbose
    ) -> dict[str, float]:
        """The scores of examples."""

    def read(self, model: Model, example: Example) -> Ask:
        """Reads a text once; gives what answers questions on it."""

    def get_config(self) -> dict[str, Any]:
        """What `from_config` takes, as a `.keras` file keeps it."""
