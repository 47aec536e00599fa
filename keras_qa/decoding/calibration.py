"""Scores that mean something: one temperature, fitted on validation data, and how far off it is."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from keras_qa._arguments import check_positive_integers, to_integer
from keras_qa.decoding import window_words
from keras_qa.decoding.window_words import Logits, WindowWords

# What a temperature is looked for between, and how finely.
LOWEST, HIGHEST = 0.05, 20.0
_STEPS = 30
# A fold's temperature is found to within half a percent.
_FOLD_STEPS = 15
_GOLDEN = (math.sqrt(5) - 1) / 2

# Which examples are meant: all of them, or those that a mask holds.
Rows = slice | npt.NDArray[np.bool_]


def fit_temperature(
    start: npt.ArrayLike,
    end: npt.ArrayLike,
    offsets: npt.ArrayLike,
    example: npt.ArrayLike,
    spans: npt.ArrayLike,
    max_answer_words: int = 30,
    no_answer: bool = True,
    word_sizes: npt.ArrayLike | None = None,
    folds: int | None = None,
) -> float:
    """Finds the temperature with which right answers are likeliest on validation data.

    It minimises the negative log-likelihood of the right answers, all of a
    text together, or of there being none, as `top_spans` scores them. The
    order of the answers within a window stays as it is, nearly: only words of
    several pieces change.

    Args:
        start: As in `top_spans`, like all that are not named here.
        end: As there.
        offsets: As there.
        example: As there.
        spans: `(windows, answers, 2)`: first and last position of each right
            answer in the window, `(0, 0)` or `(-1, -1)` for none:
            `Windows.spans`. A text none of whose windows has one counts as
            without an answer.
        max_answer_words: As in `top_spans`. Longer answers are not looked at.
        no_answer: As there. Without it, texts without an answer are not
            looked at.
        word_sizes: As there.
        folds: Number of folds of cross-validation, of every so many-th text
            each. The temperature is 1.0 unless temperatures that are fitted
            without a fold make its right answers likelier than 1.0 does, in
            all folds together. `None` to skip this test.

    Returns:
        The temperature, between 0.05 and 20.

    Raises:
        ValueError: If shapes do not match, `folds` is less than 2, or no text
            has a right answer to compare with.

    Reference:
        Guo et al. 2017, "On Calibration of Modern Neural Networks",
        arXiv:1706.04599.

    Examples:
        >>> import numpy as np
        >>> from keras_qa.decoding import fit_temperature
        >>> offsets = np.tile([[-1, -1], [0, 1], [2, 3]], (4, 1, 1))
        >>> start = np.tile([0.0, 9.0, 0.0], (4, 1))        # always sure of the first word…
        >>> right = np.array([[[1, 1]], [[1, 1]], [[1, 1]], [[2, 2]]])  # …but it is 3 times in 4
        >>> end = np.where(np.arange(3) == 1, 9.0, 0.0) * np.ones((4, 1))
        >>> windows = start, end, offsets, np.arange(4)
        >>> temperature = fit_temperature(*windows, right, 1, no_answer=False)
        >>> round(float(1 / (1 + np.exp(-18 / temperature))), 3)
        0.75
    """
    if folds is not None:
        to_integer("folds", folds, least=2)
    logits = window_words.logits(start, end, offsets, example, word_sizes)
    spans = np.asarray(spans)
    if spans.ndim != 3 or spans.shape[::2] != (len(logits.start), 2):
        raise ValueError(
            f"`spans` must have the shape ({len(logits.start)}, answers, 2). "
            f"Received: {spans.shape}."
        )
    parts = []
    for texts, part in logits.parts():
        first = logits.firsts[texts] - part.firsts
        rows = np.repeat(first, part.counts) + np.arange(len(part.start))
        parts.append((texts, part, spans[rows]))

    @functools.cache
    def losses(logarithm: float) -> npt.NDArray[np.float64]:
        found = np.zeros(len(logits.counts))
        for texts, part, labels in parts:
            temperature = math.exp(logarithm)
            found[texts] = _losses(part, labels, max_answer_words, no_answer, temperature)
        return found[~np.isnan(found)]

    count = len(losses(0.0))
    if not count:
        raise ValueError(
            "`spans` holds no right answer. Give the windows of examples with answers, made with "
            "`labels=True`."
        )

    def fitted(rows: Rows, steps: int) -> float:
        low, high = math.log(LOWEST), math.log(HIGHEST)
        return least(lambda one: float(losses(one)[rows].sum()), low, high, steps)

    def gain(train: Rows, test: Rows) -> float:
        return float((losses(0.0)[test] - losses(fitted(train, _FOLD_STEPS))[test]).sum())

    if folds is not None and not helps_others(gain, count, folds):
        return 1.0
    return math.exp(fitted(slice(None), _STEPS))


def helps_others(gain: Callable[[Rows, Rows], float], count: int, folds: int) -> bool:
    """Whether what is fitted on some examples makes right answers of others likelier.

    Args:
        gain: By how much, for two masks over the examples: those to fit on, and those to test on.
        count: Number of examples.
        folds: Number of folds. Fewer examples are left out one at a time.
    """
    fold = np.arange(count) % folds
    each = range(min(folds, count))
    return count > 1 and sum(gain(fold != one, fold == one) for one in each) > 0


def least(loss: Callable[[float], float], low: float, high: float, steps: int = _STEPS) -> float:
    """Where between two numbers a function is least that falls, then rises: golden section."""
    left, right = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
    at_left, at_right = loss(left), loss(right)
    for _ in range(steps):
        if at_left <= at_right:
            high, right, at_right = right, left, at_left
            left = high - _GOLDEN * (high - low)
            at_left = loss(left)
        else:
            low, left, at_left = left, right, at_right
            right = low + _GOLDEN * (high - low)
            at_right = loss(right)
    return (low + high) / 2


def _losses(
    part: Logits, spans: np.ndarray, length: int, no_answer: bool, temperature: float
) -> npt.NDArray[np.float64]:
    """Negative log-likelihood of the right answers of each text, NaN without one to compare."""
    words = window_words.words(part, length, no_answer, temperature)
    texts = len(part.counts)
    right = right_masses(words, spans)
    mass = np.bincount(words.text, right.mass, texts)
    reachable = np.bincount(words.text, right.reachable, texts) > 0
    if no_answer:
        answerable = np.bincount(words.text, right.answerable, texts) > 0
        mass = np.where(answerable, mass, words.no_answer)
        reachable |= ~answerable
    losses: npt.NDArray[np.float64] = -np.log(np.maximum(mass, np.finfo("float64").tiny))
    losses[~reachable] = np.nan
    return losses


class RightMasses(NamedTuple):
    """What windows give to right answers.

    Args:
        mass: `(windows,)` float64: their part of all that the text of the window has.
        answerable: `(windows,)` bool: whether it has one.
        reachable: `(windows,)` bool: whether it has one that is not too long.
    """

    mass: npt.NDArray[np.float64]
    answerable: npt.NDArray[np.bool_]
    reachable: npt.NDArray[np.bool_]


def right_masses(words: WindowWords, spans: np.ndarray) -> RightMasses:
    """Sums the masses of right answers of each window.

    Args:
        words: The words of the windows.
        spans: As in `fit_temperature`.
    """
    windows = len(spans)
    rows, answers = np.nonzero(spans[..., 0] > 0)
    first, last = words.column[rows[:, None], spans[rows, answers]].T
    # Two answers may be parts of the same words: they count once.
    kept = np.unique(np.stack([rows, first, last], axis=1), axis=0)
    answerable = np.bincount(kept[:, 0], minlength=windows) > 0
    lengths = words.lengths[kept[:, 0], kept[:, 1]]
    rows, first, last = kept[kept[:, 2] - kept[:, 1] < lengths].T
    each = words.start[rows, first] * words.end[rows, last]
    mass = np.bincount(rows, each, windows) * words.weight[words.text]
    return RightMasses(mass, answerable, np.bincount(rows, minlength=windows) > 0)


def expected_calibration_error(
    confidences: npt.ArrayLike, correct: npt.ArrayLike, bins: int = 10
) -> float:
    """How far scores are from how often they are right, on average.

    Answers are put into bins of equal width by their score. In each, the
    share that is right is compared with the mean score.

    Args:
        confidences: `(answers,)` scores between 0 and 1.
        correct: `(answers,)` whether each answer is right.
        bins: Number of bins.

    Returns:
        The mean difference, weighted by the number of answers, between 0
        and 1.

    Raises:
        ValueError: If the shapes differ, there are no answers, a score is not
            between 0 and 1, or `bins` is not a
            positive integer.

    Reference:
        Guo et al. 2017, "On Calibration of Modern Neural Networks",
        arXiv:1706.04599.

    Examples:
        >>> from keras_qa.decoding import expected_calibration_error
        >>> round(expected_calibration_error([0.9, 0.9, 0.2], [True, False, False]), 3)
        0.333
    """
    scores = np.asarray(confidences, "float64")
    right = np.asarray(correct, "float64")
    if scores.ndim != 1 or scores.shape != right.shape or not len(scores):
        raise ValueError(
            "`confidences` and `correct` must have one entry an answer. Received shapes "
            f"{scores.shape} and {right.shape}."
        )
    check_positive_integers(bins=bins)
    odd = np.flatnonzero(~((scores >= 0) & (scores <= 1)))
    if len(odd):
        raise ValueError(
            f"`confidences` holds {scores[odd[0]]} at [{odd[0]}], but scores are between 0 and 1."
        )
    place = np.clip(np.ceil(scores * bins).astype("int64") - 1, 0, bins - 1)
    return float(np.abs(np.bincount(place, right - scores, bins)).sum() / len(scores))
