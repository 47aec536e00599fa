"""Selective answering: thresholds of scores that guarantee a precision."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

# Confidence of the precisions that `precision_thresholds` returns.
CONFIDENCE = 0.9

# Bisection steps: 40 find a bound to 1e-12.
_STEPS = 40


class Coverage(NamedTuple):
    """Numbers of answers and of right answers at each threshold of the score.

    Args:
        threshold: `(scores,)` float64: lowest score of an accepted answer, descending.
        answers: `(scores,)` int64: number of accepted answers.
        right: `(scores,)` int64: number of right answers among them.
    """

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

    Coverage is the share of the questions with an accepted answer, risk the share of accepted
    answers that are wrong. Answers with equal scores are accepted together.

    Args:
        scores: `(answers,)` scores.
        correct: `(answers,)` whether each answer is right.

    Returns:
        The `Coverage`. It is empty if there are no answers.

    Raises:
        ValueError: If the shapes differ, or a score is not finite.

    Reference:
        El-Yaniv and Wiener 2010, "On the Foundations of Noise-free Selective Classification".

    Examples:
        >>> from keras_qa.preprocessing.selective import risk_coverage
        >>> found = risk_coverage([0.9, 0.6, 0.8, 0.6], [True, True, False, False])
        >>> found.threshold.tolist(), found.answers.tolist(), found.right.tolist()
        ([0.9, 0.8, 0.6], [1, 2, 4], [1, 1, 2])
    """
    values = np.asarray(scores, "float64")
    hits = np.asarray(correct, bool)
    if values.ndim != 1 or values.shape != hits.shape:
        raise ValueError(
            "`scores` and `correct` must have one entry per answer. Received shapes: "
            f"{values.shape} and {hits.shape}."
        )
    if not np.isfinite(values).all():
        place = int(np.flatnonzero(~np.isfinite(values))[0])
        raise ValueError(
            f"`scores` must be finite numbers. Received: {values[place]} at position {place}."
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
    """Probability of at least `hits` successes in `total` trials of probability `share`.

    Terms of the binomial distribution are summed as multiples of the first. It is the largest,
    because `share` is at most `hits / total`.
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
    """Returns the precisions that scores can reach and the threshold of each, both ascending.

    The precision at a threshold is that of all answers with at least this score: the lower bound of
    `precision_bounds`, which is low for few answers. To reach a precision with the highest
    coverage, use the first entry that is at least as high. The first threshold is 0; each other
    lies halfway between two scores, so that rounding does not matter (Geifman and El-Yaniv 2017,
    arXiv:1705.08500, who correct the bound for the number of thresholds).
    """
    found = risk_coverage(scores, correct)
    lower = np.append(found.threshold[1:], 0.0)
    middle = (found.threshold + lower) / 2
    # The mean of two adjacent floats may round to the lower one.
    thresholds = np.where(middle > lower, middle, found.threshold)
    thresholds[-1:] = 0.0
    # Keep thresholds that are more precise than all lower ones.
    precision = precision_bounds(found.right, found.answers)[::-1]
    thresholds = thresholds[::-1]
    before = np.append(-1.0, np.maximum.accumulate(precision)[:-1])
    kept = precision > before[: len(precision)]
    return precision[kept], thresholds[kept]
