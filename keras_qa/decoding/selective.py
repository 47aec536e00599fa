"""Answering only what is sure: how often answers are wrong against how many are given."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt


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


def precision_thresholds(
    scores: npt.ArrayLike, correct: npt.ArrayLike
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Finds the lowest score from which on so many answers are right, for every such share.

    What counts is the precision of all answers from a score on, not of those near it: a few wrong
    answers among high scores do not end the search. A threshold lies in the middle between the
    scores that it parts, so that what rounding does to a score does not matter.

    Args:
        scores: `(answers,)` scores of the answers that may be given, none below 0.
        correct: `(answers,)` whether each is right.

    Returns:
        The precisions that can be had and the threshold for each, both ascending. For any
        precision the first entry that is no less has the threshold by which most answers are
        given. 0 is the first threshold: all answers.

    Raises:
        ValueError: As `risk_coverage`.

    Examples:
        >>> from keras_qa.decoding import precision_thresholds
        >>> precisions, thresholds = precision_thresholds([0.9, 0.8, 0.6], [True, False, False])
        >>> precisions.round(2).tolist(), thresholds.round(2).tolist()
        ([0.33, 0.5, 1.0], [0.0, 0.7, 0.85])
    """
    found = risk_coverage(scores, correct)
    lower = np.append(found.threshold[1:], 0.0)
    middle = (found.threshold + lower) / 2
    # Between two numbers that are next to each other there is none.
    thresholds = np.where(middle > lower, middle, found.threshold)
    thresholds[-1:] = 0.0
    # From the lowest on: only what is more precise than all before is worth fewer answers.
    precision, thresholds = found.precision[::-1], thresholds[::-1]
    before = np.append(-1.0, np.maximum.accumulate(precision)[:-1])
    kept = precision > before[: len(precision)]
    return precision[kept], thresholds[kept]
