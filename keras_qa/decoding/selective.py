"""Answering only what is sure: how often answers are wrong against how many are given."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

# How likely answers like those it is given are as often right as `precision_thresholds` says.
CONFIDENCE = 0.9

# Halvings of where a bound may be: to less than 1e-12.
_STEPS = 40


class Coverage(NamedTuple):
    """What comes of giving only answers of a score, for every score there is, from the highest.

    Args:
        threshold: `(scores,)` float64: the least score of an answer that is given, descending.
        answers: `(scores,)` int64: how many answers are given.
        right: `(scores,)` int64: how many of these are right.
    """

    threshold: npt.NDArray[np.float64]
    answers: npt.NDArray[np.int64]
    right: npt.NDArray[np.int64]

    @property
    def precision(self) -> npt.NDArray[np.float64]:
        """The share of the given answers that is right: 1 less the risk."""
        shares: npt.NDArray[np.float64] = self.right / self.answers
        return shares


def risk_coverage(scores: npt.ArrayLike, correct: npt.ArrayLike) -> Coverage:
    """Counts, for every score, the answers of at least that score and the right ones of them.

    Divided by the number of questions, the answers are the coverage. The share of them that is
    wrong is the risk. Answers of the same score are given together.

    Args:
        scores: `(answers,)` scores of the answers that may be given.
        correct: `(answers,)` whether each is right.

    Returns:
        The `Coverage`, empty where there are no answers.

    Raises:
        ValueError: If the shapes differ, or a score is no number.

    Reference:
        El-Yaniv and Wiener 2010, "On the Foundations of Noise-free Selective Classification".

    Examples:
        >>> from keras_qa.decoding import risk_coverage
        >>> found = risk_coverage([0.9, 0.6, 0.8, 0.6], [True, True, False, False])
        >>> found.threshold.tolist(), found.answers.tolist(), found.right.tolist()
        ([0.9, 0.8, 0.6], [1, 2, 4], [1, 1, 2])
    """
    values = np.asarray(scores, "float64")
    hits = np.asarray(correct, bool)
    if values.ndim != 1 or values.shape != hits.shape:
        raise ValueError(
            "`scores` and `correct` must have one entry an answer. Received shapes "
            f"{values.shape} and {hits.shape}."
        )
    if not np.isfinite(values).all():
        odd = int(np.flatnonzero(~np.isfinite(values))[0])
        raise ValueError(f"`scores` holds {values[odd]} at [{odd}], but scores must be numbers.")
    order = np.argsort(-values, kind="stable")
    values, hits = values[order], hits[order]
    last = np.flatnonzero(np.diff(values, append=-np.inf))
    return Coverage(values[last], last + 1, np.cumsum(hits)[last])


def precision_bounds(
    right: npt.ArrayLike, answers: npt.ArrayLike, confidence: float = CONFIDENCE
) -> npt.NDArray[np.float64]:
    """How often answers are right at least, by how many of some were.

    The least share of right answers with which so many or more would have been right with a
    probability of `1 - confidence`: the lower end of Clopper and Pearson's interval, one-sided.

    Args:
        right: `(...)` how many were right, such as `Coverage.right`.
        answers: `(...)` of how many, 1 at least.
        confidence: How likely the true share is no less, from 0.5 to below 1.

    Returns:
        `(...)` float64: the bounds, 0 where none was right.

    Raises:
        ValueError: If a number of right answers is below 0 or above that of the answers, there are
            no answers, or `confidence` is out of its range.

    Reference:
        Clopper and Pearson 1934, "The Use of Confidence or Fiducial Limits Illustrated in the Case
        of the Binomial".

    Examples:
        >>> from keras_qa.decoding import precision_bounds
        >>> precision_bounds([10, 95, 22], [10, 100, 22]).round(3).tolist()
        [0.794, 0.909, 0.901]
    """
    hits, total = np.broadcast_arrays(np.asarray(right, "int64"), np.asarray(answers, "int64"))
    odd = (total < 1) | (hits < 0) | (hits > total)
    if odd.any():
        raise ValueError(
            "`right` must be from 0 to `answers`, and these 1 at least. Received: "
            f"{hits[odd][0]} right of {total[odd][0]}."
        )
    if not 0.5 <= confidence < 1:
        raise ValueError(
            f"`confidence` must be from 0.5 to below 1. Received: confidence={confidence!r}."
        )
    # It lies below the share of those that were: that many or more are likelier than not with it.
    low, high = np.zeros(hits.shape), hits / total
    for _ in range(_STEPS):
        middle = (low + high) / 2
        below = _tail(hits, total, middle) < 1 - confidence
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    return low


def _tail(
    hits: npt.NDArray[np.int64], total: npt.NDArray[np.int64], share: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """How likely so many or more are right of all, each with a probability of less than its share.

    The terms of the binomial distribution, each as a multiple of the first, which is the largest.
    """
    logs = np.append(0.0, np.cumsum(np.log(np.arange(1, total.max(initial=0) + 1))))
    some = np.where(hits > 0, share, 0.5)
    odds = some / (1 - some)
    first = logs[total] - logs[hits] - logs[total - hits]
    first += hits * np.log(some) + (total - hits) * np.log1p(-some)
    term = np.ones(hits.shape)
    terms, next_one = term, hits
    while term.max(initial=0.0) > 1e-17:
        term = term * odds * (total - next_one) / (next_one + 1)
        terms, next_one = terms + term, next_one + 1
    return np.where(hits > 0, np.exp(first) * terms, 1.0)


def precision_thresholds(
    scores: npt.ArrayLike, correct: npt.ArrayLike
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Finds the lowest score from which on so many answers are right, for every such share.

    What counts is the precision of all answers from a score on, not of those near it: a few wrong
    answers among high scores do not end the search. Of answers like these that share is right with
    a probability of `CONFIDENCE`, 0.9: it is the lower bound that `precision_bounds` gives. A few
    answers show little, however right they are. A threshold lies in the middle between the scores
    that it parts, so that what rounding does to a score does not matter.

    Args:
        scores: `(answers,)` scores of the answers that may be given, none below 0.
        correct: `(answers,)` whether each is right.

    Returns:
        The precisions that can be had and the threshold for each, both ascending. For any
        precision the first entry that is no less has the threshold by which most answers are
        given. 0 is the first threshold: all answers.

    Raises:
        ValueError: As `risk_coverage`.

    Reference:
        Geifman and El-Yaniv 2017, "Selective Classification for Deep Neural Networks",
        arXiv:1705.08500. There the bound is wider, for each threshold that is tried.

    Examples:
        >>> from keras_qa.decoding import precision_thresholds
        >>> scores = [0.9] * 20 + [0.4] * 20
        >>> precisions, thresholds = precision_thresholds(scores, [True] * 20 + [False] * 20)
        >>> precisions.round(2).tolist(), thresholds.round(2).tolist()
        ([0.39, 0.89], [0.0, 0.65])
    """
    found = risk_coverage(scores, correct)
    lower = np.append(found.threshold[1:], 0.0)
    middle = (found.threshold + lower) / 2
    # Between two numbers that are next to each other there is none.
    thresholds = np.where(middle > lower, middle, found.threshold)
    thresholds[-1:] = 0.0
    # From the lowest on: only what is more precise than all before is worth fewer answers.
    precision = precision_bounds(found.right, found.answers)[::-1]
    thresholds = thresholds[::-1]
    before = np.append(-1.0, np.maximum.accumulate(precision)[:-1])
    kept = precision > before[: len(precision)]
    return precision[kept], thresholds[kept]
