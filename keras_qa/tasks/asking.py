"""What was fitted for asking several passages of an index, as a `.keras` file keeps it."""

from __future__ import annotations

import dataclasses
import itertools
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from keras_qa._arguments import check_number, check_positive_integers, entry, is_number, must_be
from keras_qa.decoding import CONFIDENCE
from keras_qa.decoding.window_words import find_firsts
from keras_qa.example import Example
from keras_qa.tasks.task import AskOptions

_ARTICLE = re.compile(r"^(?:an?|the)\s+", re.IGNORECASE)


@dataclasses.dataclass(frozen=True)
class AskCalibration:
    """What `QuestionAnswerer.calibrate` fitted, which `ask` takes where it is not told otherwise.

    Args:
        temperature: What the logits are divided by.
        retrieval_weight: How much retrieval counts beside reading.
        passages: Number of passages that were read for a question.
        options: The options that were asked with, see `AskOptions`.
        precisions: The shares of right answers that can be had, ascending, as
            `decoding.precision_thresholds` finds them: each is right with a confidence of 0.9.
        thresholds: For each of them the least score of an answer that is given.

    Examples:
        >>> from keras_qa.tasks import AskCalibration
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
        """The lowest score from which on so many answers are right, with a confidence of 0.9.

        Args:
            min_precision: The share, above 0 and up to 1.

        Returns:
            The score, 0 where that many of all answers are right.

        Raises:
            ValueError: If no score comes to that, or the share is out of its range.
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
            f"`min_precision` is {min_precision:g}, but the answers to the questions of "
            f"`calibrate` show no more than {np.floor(best * 1e4) / 1e4:g} from any score on, with "
            f"a confidence of {CONFIDENCE:g}. Ask for less"
        )
        if min_precision == 1:
            raise ValueError(f"{shown}: no number of answers shows 1.")
        needed = math.ceil(math.log(1 - CONFIDENCE) / math.log(min_precision))
        raise ValueError(
            f"{shown}, or calibrate on more questions: {min_precision:g} takes {needed} or more "
            "answers, all of them right."
        )

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments, as JSON holds them."""
        lists = {name: list(getattr(self, name)) for name in ("precisions", "thresholds")}
        return {**dataclasses.asdict(self), **lists}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> AskCalibration:
        """Makes the calibration again that gave this config."""
        lists = {name: tuple(entry(config, name, list)) for name in ("precisions", "thresholds")}
        entry(config, "options", dict)
        return cls(**{**config, **lists})


def gold_mentions(
    words: np.ndarray, example: np.ndarray, examples: Sequence[Example]
) -> npt.NDArray[np.int32]:
    """Where windows say right answers: in any case, whole words, with their article or without.

    Args:
        words: `(windows, positions, 2)`: where in the text of its example the word at each
            position stands, negative where no word is.
        example: `(windows,)`: which example each window is of.
        examples: The examples, with answers.

    Returns:
        `(windows, mentions, 2)`: the first and the last position of each mention, -1 for none.
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
