"""Selective answering: thresholds of scores that guarantee a precision."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from keras_qa._arguments import check_number, entry, is_number, must_be

# Confidence of the precisions that `precision_thresholds` returns.
CONFIDENCE = 0.9

# Bisection steps: 40 find a bound to 1e-12.
_STEPS = 40


class Coverage(NamedTuple):
    """The lowest score, descending, and the numbers of accepted and of right answers."""

    threshold: npt.NDArray[np.float64]
    answers: npt.NDArray[np.int64]
    right: npt.NDArray[np.int64]

    @property
    def precision(self) -> npt.NDArray[np.float64]:
        """Share of right answers among the accepted ones: 1 - risk."""
        shares: npt.NDArray[np.float64] = self.right / self.answers
        return shares


def risk_coverage(scores: npt.ArrayLike, correct: npt.ArrayLike) -> Coverage:
    """Counts accepted and right answers for each threshold of the score.

    Answers with equal scores are accepted together (El-Yaniv and Wiener 2010, "On the Foundations
    of Noise-free Selective Classification").
    """
    values = np.asarray(scores, "float64")
    hits = np.asarray(correct, bool)
    if not np.isfinite(values).all():
        position = int(np.flatnonzero(~np.isfinite(values))[0])
        raise ValueError(
            f"`scores` must be finite numbers. Received: {values[position]} at position {position}."
        )
    order = np.argsort(-values, kind="stable")
    values, hits = values[order], hits[order]
    last = np.flatnonzero(np.diff(values, append=-np.inf))
    return Coverage(values[last], last + 1, np.cumsum(hits)[last])


def precision_bounds(
    right: npt.ArrayLike, answers: npt.ArrayLike, confidence: float = CONFIDENCE
) -> npt.NDArray[np.float64]:
    """Returns lower bounds of precisions, for numbers of right answers and of answers.

    This is the lower end of the one-sided interval of Clopper and Pearson 1934, for a confidence of
    at least 0.5: the bound is then at most the observed precision.
    """
    hits, total = np.broadcast_arrays(np.asarray(right, "int64"), np.asarray(answers, "int64"))
    low, high = np.zeros(hits.shape), hits / total
    for _ in range(_STEPS):
        middle = (low + high) / 2
        below = _tail(hits, total, middle) < 1 - confidence
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    return low


def _tail(
    hits: npt.NDArray[np.int64], total: npt.NDArray[np.int64], share: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Probability of at least `hits` successes in `total` trials of probability `share`."""
    # Sum the terms of the binomial distribution as multiples of the first. It is the largest,
    # because `share` is at most `hits / total`.
    logs = np.append(0.0, np.cumsum(np.log(np.arange(1, total.max(initial=0) + 1))))
    chance = np.where(hits > 0, share, 0.5)
    odds = chance / (1 - chance)
    first = logs[total] - logs[hits] - logs[total - hits]
    first += hits * np.log(chance) + (total - hits) * np.log1p(-chance)
    term = np.ones(hits.shape)
    terms, successes = term, hits
    while term.max(initial=0.0) > 1e-17:
        term = term * odds * (total - successes) / (successes + 1)
        terms, successes = terms + term, successes + 1
    return np.where(hits > 0, np.exp(first) * terms, 1.0)


def precision_thresholds(
    scores: npt.ArrayLike, correct: npt.ArrayLike
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Returns the precisions that scores can reach and the threshold of each, both ascending.

    The precision at a threshold is the lower bound of `precision_bounds` for all answers with at
    least this score. The first threshold is 0; each other lies halfway between two scores, so that
    rounding does not matter (Geifman and El-Yaniv 2017, arXiv:1705.08500, who correct the bound for
    the number of thresholds).
    """
    coverage = risk_coverage(scores, correct)
    lower = np.append(coverage.threshold[1:], 0.0)
    middle = (coverage.threshold + lower) / 2
    # The mean of two adjacent floats may round to the lower one.
    thresholds = np.where(middle > lower, middle, coverage.threshold)
    thresholds[-1:] = 0.0
    # Keep thresholds that are more precise than all lower ones.
    precision = precision_bounds(coverage.right, coverage.answers)[::-1]
    thresholds = thresholds[::-1]
    before = np.append(-1.0, np.maximum.accumulate(precision)[:-1])
    kept = precision > before[: len(precision)]
    return precision[kept], thresholds[kept]


@dataclasses.dataclass(frozen=True, kw_only=True)
class PrecisionTable:
    """The precisions that scores can reach, as `precision_thresholds` returns them.

    Args:
        precisions: Precisions that can be reached, ascending, as lower bounds with a
            confidence of 0.9.
        thresholds: The minimum score for each of them.
    """

    precisions: tuple[float, ...] = ()
    thresholds: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if len(self.precisions) != len(self.thresholds):
            raise ValueError(
                "`precisions` and `thresholds` must have the same length. Received: "
                f"{len(self.precisions)} and {len(self.thresholds)}."
            )
        for name in ("precisions", "thresholds"):
            for value in getattr(self, name):
                check_number(name, value)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments in types of JSON."""
        # Options may be numbers of NumPy.
        text = json.dumps(dataclasses.asdict(self), default=lambda value: value.item())
        config: dict[str, Any] = json.loads(text)
        return config

    @staticmethod
    def read_tables(config: Mapping[str, Any]) -> dict[str, tuple[float, ...]]:
        """Returns the precisions and thresholds of a config."""
        return {name: tuple(entry(config, name, list)) for name in ("precisions", "thresholds")}

    def threshold(self, min_precision: float) -> float:
        """Returns the minimum score for a precision, or raises if no score reaches it."""
        if not is_number(min_precision) or not 0 < min_precision <= 1:
            raise ValueError(
                must_be("min_precision", "a number above 0 and at most 1", min_precision)
            )
        for precision, threshold in zip(self.precisions, self.thresholds, strict=True):
            if precision >= min_precision:
                return threshold
        best = max(self.precisions, default=0.0)
        raise ValueError(
            f"`min_precision` is {min_precision:g}, but the questions of `calibrate` support at "
            f"most {np.floor(best * 1e4) / 1e4:g}, with a confidence of {CONFIDENCE:g}. Use a "
            "lower value, or calibrate on more questions."
        )
