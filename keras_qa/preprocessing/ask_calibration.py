"""The calibration of `QuestionAnswerer.ask`, and the right answers that it is fitted on."""

from __future__ import annotations

import dataclasses
import itertools
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from keras_qa._arguments import (
    check_number,
    check_positive_integers,
    entry,
    is_number,
    must_be,
    with_new_names,
)
from keras_qa.decoding import CONFIDENCE
from keras_qa.decoding.window_words import find_firsts
from keras_qa.example import Example
from keras_qa.preprocessing.ask_options import AskOptions

_ARTICLE = re.compile(r"^(?:an?|the)\s+", re.IGNORECASE)


@dataclasses.dataclass(frozen=True)
class AskCalibration:
    """The result of `QuestionAnswerer.calibrate`: default settings of `ask`.

    Args:
        temperature: The logits are divided by this.
        retrieval_weight: Weight of the retrieval score in the score of an answer.
        passages: Number of passages that were read for each question.
        options: The options of the calibration, see `AskOptions`.
        precisions: Precisions that can be reached, ascending, as `decoding.precision_thresholds`
            returns them: lower bounds with a confidence of 0.9.
        thresholds: The minimum score of an answer for each of them.

    Examples:
        >>> from keras_qa.preprocessing import AskCalibration
        >>> fitted = AskCalibration(1.5, 3.0, precisions=(0.6, 0.85, 1.0), thresholds=(0, 0.5, 0.9))
        >>> fitted.threshold(0.8)
        0.5
    """

    temperature: float
    retrieval_weight: float
    passages: int = 10
    options: AskOptions = dataclasses.field(default_factory=AskOptions)
    precisions: tuple[float, ...] = ()
    thresholds: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        check_number("temperature", self.temperature, positive=True)
        check_number("retrieval_weight", self.retrieval_weight)
        check_positive_integers(passages=self.passages)
        unknown = set(self.options) - set(AskOptions.__annotations__)
        if unknown:
            raise ValueError(
                f"`options` must be those of `AskOptions`. Received: {min(unknown)!r:.80}."
            )
        if len(self.precisions) != len(self.thresholds):
            raise ValueError(
                "`precisions` and `thresholds` must have the same length. Received: "
                f"{len(self.precisions)} and {len(self.thresholds)}."
            )
        for name in ("precisions", "thresholds"):
            for value in getattr(self, name):
                check_number(name, value)

    def threshold(self, min_precision: float) -> float:
        """Returns the minimum score for a precision, with a confidence of 0.9.

        Args:
            min_precision: The share of right answers, above 0 and at most 1.

        Returns:
            The score. 0 if all answers together have this precision.

        Raises:
            ValueError: If no score reaches this precision, or it is out of its range.
        """
        if not is_number(min_precision) or not 0 < min_precision <= 1:
            raise ValueError(
                must_be("min_precision", "a number above 0 and at most 1", min_precision)
            )
        for precision, threshold in zip(self.precisions, self.thresholds, strict=True):
            if precision >= min_precision:
                return threshold
        best = max(self.precisions, default=0.0)
        shown = (
            f"`min_precision` is {min_precision:g}, but the questions of `calibrate` support at "
            f"most {np.floor(best * 1e4) / 1e4:g}, with a confidence of {CONFIDENCE:g}. Use a "
            "lower value"
        )
        if min_precision == 1:
            raise ValueError(f"{shown}: no number of answers can support 1.")
        needed = math.ceil(math.log(1 - CONFIDENCE) / math.log(min_precision))
        raise ValueError(
            f"{shown}, or calibrate on more questions: {min_precision:g} needs at least {needed} "
            "answers, all of them right."
        )

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments in types of JSON."""
        lists = {name: list(getattr(self, name)) for name in ("precisions", "thresholds")}
        return {**dataclasses.asdict(self), **lists}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> AskCalibration:
        """Creates a calibration from its config."""
        lists = {name: tuple(entry(config, name, list)) for name in ("precisions", "thresholds")}
        options = with_new_names(entry(config, "options", dict))
        return cls(**{**config, **lists, "options": options})


def gold_mentions(
    words: np.ndarray, example: np.ndarray, examples: Sequence[Example]
) -> npt.NDArray[np.int32]:
    """Finds the mentions of right answers in windows.

    A mention is a sequence of whole words, in upper or lower case, with or without its article.

    Args:
        words: `(windows, positions, 2)`: start and end of the word at each position in the text of
            its example. Negative if there is no word.
        example: `(windows,)`: the number of each window's example.
        examples: The examples, with answers.

    Returns:
        `(windows, mentions, 2)`: the first and the last position of each mention, padded with -1.
    """
    found: list[tuple[int, int, int]] = []
    begins, ends = words[..., 0], words[..., 1]
    edges = [*find_firsts(example), len(example)]
    for first, stop in itertools.pairwise(edges):
        for start, end in _mentions(examples[int(example[first])]):
            begun, ended = begins[first:stop] == start, ends[first:stop] == end
            for row in np.flatnonzero(begun.any(axis=1) & ended.any(axis=1)).tolist():
                place = int(begun[row].argmax()), int(ended[row].argmax())
                found.append((int(first) + row, *place))
    each = np.bincount([row for row, *_ in found], minlength=len(words))
    spans = np.full((len(words), max(int(each.max(initial=0)), 1), 2), -1, "int32")
    filled = [0] * len(words)
    for row, begin, end in found:
        spans[row, filled[row]] = begin, end
        filled[row] += 1
    return spans


def _mentions(item: Example) -> set[tuple[int, int]]:
    answers = {form for text in item.answers for form in (text, _ARTICLE.sub("", text, 1)) if form}
    return {
        found.span()
        for answer in answers
        for found in re.finditer(re.escape(answer), item.plain_text, re.IGNORECASE)
    }
