"""Options of a call that asks questions, and the types that the preprocessors share."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Collection, Mapping
from typing import Any, TypeAlias, TypedDict

import numpy as np

from keras_qa.example import Answer

# The answers to each question, best first.
RankedAnswers = list[list[Answer]]

# 0 is silent; any other value shows progress.
Verbose = int | str

# The outputs of a model: one array, or arrays by name.
Outputs = np.ndarray | Mapping[str, np.ndarray]

# A functional `keras.Model` with named inputs. This room does not import Keras.
Model: TypeAlias = Any


@dataclasses.dataclass(frozen=True)
class SpanDetails:
    """What a span reader computes in addition to its answers.

    Args:
        spans: The text of the best span for each question, even if the answer is "no answer".
        no_answer: The probability of no answer for each question.
        threshold: The answer is empty if the probability of no answer is above this.
    """

    spans: list[str]
    no_answer: list[float]
    threshold: float


class AskOptions(TypedDict, total=False):
    """Options of a span reader for one call. `None` keeps the reader's own setting.

    Attributes:
        max_answer_words: Maximum number of words in an answer, punctuation marks included. For
            scripts without spaces see `decoding.SpanDecoder`.
        no_answer: Whether a text may have no answer.
        whole_words: Whether answers start and end at word boundaries, rather than inside words.
        max_length: Maximum number of positions in a window, see `text.Windower`.
        stride: Number of positions that a window shares with the previous one.
        max_question_length: Maximum number of pieces in a question. The rest is cut off.
    """

    max_answer_words: int | None
    no_answer: bool | None
    whole_words: bool | None
    max_length: int | None
    stride: int | None
    max_question_length: int | None


def check_option_names(call: Callable[..., object], options: Mapping[str, object]) -> None:
    """Raises if an option is not in `AskOptions`. The message also lists the options of `call`."""
    unknown = [name for name in options if name not in AskOptions.__annotations__]
    if unknown:
        parameters = inspect.signature(call).parameters.values()
        own = [item.name for item in parameters if item.default is not item.empty]
        known = ", ".join(f"`{name}`" for name in (*own, *AskOptions.__annotations__))
        raise TypeError(f"There is no option `{unknown[0]:.40}`. The options are {known}.")


def given_options(
    options: Mapping[str, object], allowed: Collection[str], description: str
) -> dict[str, Any]:
    """Returns the options other than `None`. Raises if a model does not have one of them."""
    given = {name: value for name, value in options.items() if value is not None}
    for name in given:
        if name not in allowed:
            raise ValueError(
                f"`{name}` is for span readers, but the model {description}. Leave it out."
            )
    return given
