"""Calibration of scores: their temperature, and their expected calibration error."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from keras_qa.preprocessing.decoder import SpanDecoder
from keras_qa.preprocessing.window_words import (
    WindowLogits,
    WindowOutputs,
    WindowWords,
    check_logits,
    sum_words,
)

# Number of folds in the cross-validation of the temperature.
FOLDS = 5

MIN_TEMPERATURE, MAX_TEMPERATURE = 0.05, 20.0

# Steps of golden section search. 15 steps find a temperature to 0.5 %.
_STEPS = 30
_COARSE_STEPS = 15
_GOLDEN = (math.sqrt(5) - 1) / 2

# A selection of the compared texts: all of them, or a mask.
_Rows = slice | npt.NDArray[np.bool_]


def fit_temperature(
    outputs: WindowOutputs, spans: npt.ArrayLike, decoder: SpanDecoder, folds: int | None = None
) -> float:
    """Finds the temperature of a decoder that makes the right answers of validation data likeliest.

    It minimizes the negative log-likelihood of the right answers of each text together, or of "no
    answer" if it has none (Guo et al. 2017, arXiv:1706.04599). `spans` is as `Windows.spans`; an
    answer type has its position first in each window of the text. With `folds`, the result is 1.0
    if other temperatures do not make the right answers likelier in a cross-validation.
    """
    logits = check_logits(outputs)
    masses = _cache_masses(logits, spans, decoder)
    if not masses(1.0).is_compared.any():
        raise ValueError(
            "`spans` holds no right answer. Give the windows of examples with answers, made with "
            "`labels=True`."
        )
    return _fit(logits, masses, decoder.no_answer, folds)


class _Masses(NamedTuple):
    """Masses as parts of the mass of all answers of a text."""

    # `(windows,)`: all spans, and the right answers.
    total: npt.NDArray[np.float64]
    right: npt.NDArray[np.float64]
    # `(windows, types)`: the mass of an answer type is its highest over the windows of a text.
    types: npt.NDArray[np.float64]
    # `(texts,)`: the type of the right answer, from 1; 0 for spans and no answer.
    right_type: npt.NDArray[np.int64]
    # `(texts,)`.
    no_answer: npt.NDArray[np.float64]
    # `(texts,)`: whether a window holds a right answer, and one of allowed length.
    is_answerable: npt.NDArray[np.bool_]
    is_reachable: npt.NDArray[np.bool_]
    # `(texts,)`: whether the loss includes the text.
    is_compared: npt.NDArray[np.bool_]


def _cache_masses(
    logits: WindowLogits, spans: npt.ArrayLike, decoder: SpanDecoder
) -> Callable[[float], _Masses]:
    """Returns a cached function from temperatures to masses."""
    limits, num_types = (decoder.max_answer_words, decoder.no_answer), len(decoder.answer_types)
    spans = np.asarray(spans)
    windows, texts = len(logits.start), len(logits.counts)
    first = spans[logits.firsts, :1, 0].max(axis=1, initial=0)
    right_type = np.where(first <= num_types, first, 0)
    chunks = []
    for rows, chunk in logits.chunks():
        chunk_windows = np.repeat(logits.firsts[rows] - chunk.firsts, chunk.counts)
        chunk_windows += np.arange(len(chunk.start))
        chunks.append((rows, chunk_windows, chunk))

    @functools.cache
    def masses(temperature: float) -> _Masses:
        total, right = np.zeros((2, windows))
        types, none = np.zeros((windows, num_types)), np.zeros(texts)
        answerable, reachable = np.zeros((2, texts), bool)
        for rows, chunk_windows, chunk in chunks:
            words = sum_words(chunk, *limits, temperature, num_types)
            mass, is_answerable, is_reachable = _sum_right_answers(words, spans[chunk_windows])
            spans_mass = (words.start * words.ends_within).sum(axis=1)
            total[chunk_windows] = spans_mass * words.weight[words.text]
            right[chunk_windows] = mass
            types[chunk_windows] = words.types
            none[rows] = words.no_answer
            answerable[rows] = np.bincount(words.text, is_answerable, len(rows)) > 0
            reachable[rows] = np.bincount(words.text, is_reachable, len(rows)) > 0
        answerable |= right_type > 0
        reachable |= right_type > 0
        compared = reachable | ~answerable if decoder.no_answer else reachable
        return _Masses(total, right, types, right_type, none, answerable, reachable, compared)

    return masses


def _sum_right_answers(
    words: WindowWords, spans: np.ndarray
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """For each window the mass of the right answers, whether it holds any, and any in the limit."""
    windows = len(spans)
    rows, answers = np.nonzero(spans[..., 0] > words.types.shape[1])
    first, last = words.column[rows[:, None], spans[rows, answers]].T
    # Two answers that are parts of the same words count once.
    kept = np.unique(np.stack([rows, first, last], axis=1), axis=0)
    answerable = np.bincount(kept[:, 0], minlength=windows) > 0
    lengths = words.lengths[kept[:, 0], kept[:, 1]]
    rows, first, last = kept[kept[:, 2] - kept[:, 1] < lengths].T
    mass = np.bincount(rows, words.start[rows, first] * words.end[rows, last], windows)
    mass = mass * words.weight[words.text]
    return mass, answerable, np.bincount(rows, minlength=windows) > 0


def _fit(
    logits: WindowLogits, masses: Callable[[float], _Masses], no_answer: bool, folds: int | None
) -> float:
    """Returns the best temperature, or 1.0 if it does not help in the cross-validation."""
    text = np.repeat(np.arange(len(logits.counts)), logits.counts)

    def losses(temperature: float) -> npt.NDArray[np.float64]:
        parts = masses(temperature)
        right = np.bincount(text, parts.right)
        types = np.maximum.reduceat(parts.types, logits.firsts)
        everything = np.bincount(text, parts.total) + parts.no_answer + types.sum(axis=1)
        typed = np.flatnonzero(parts.right_type)
        right[typed] = types[typed, parts.right_type[typed] - 1]
        if no_answer:
            right = np.where(parts.is_answerable, right, parts.no_answer)
        likelihood = right[parts.is_compared] / everything[parts.is_compared]
        result: npt.NDArray[np.float64] = -np.log(np.maximum(likelihood, np.finfo("float64").tiny))
        return result

    def fit(rows: _Rows, steps: int) -> float:
        low, high = math.log(MIN_TEMPERATURE), math.log(MAX_TEMPERATURE)

        def loss(logarithm: float) -> float:
            return float(losses(math.exp(logarithm))[rows].sum())

        return math.exp(_minimize(loss, low, high, steps))

    def gain(train: _Rows, test: _Rows) -> float:
        return float((losses(1.0)[test] - losses(fit(train, _COARSE_STEPS))[test]).sum())

    if folds is not None:
        count = int(masses(1.0).is_compared.sum())
        fold = np.arange(count) % folds
        # With fewer texts than folds, each text is a fold. One text cannot be cross-validated.
        numbers = range(min(folds, count)) if count > 1 else ()
        if sum(gain(fold != number, fold == number) for number in numbers) <= 0:
            return 1.0
    return fit(slice(None), _STEPS)


def _minimize(loss: Callable[[float], float], low: float, high: float, steps: int) -> float:
    """Golden section search for the minimum of a unimodal function."""
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


def expected_calibration_error(
    confidences: npt.ArrayLike, correct: npt.ArrayLike, bins: int = 10
) -> float:
    """Returns the difference between score and accuracy, averaged over bins of equal width.

    Each bin counts by its number of answers. The scores are between 0 and 1 (Guo et al. 2017, "On
    Calibration of Modern Neural Networks", arXiv:1706.04599).
    """
    scores = np.asarray(confidences, "float64")
    right = np.asarray(correct, "float64")
    numbers = np.clip(np.ceil(scores * bins).astype("int64") - 1, 0, bins - 1)
    return float(np.abs(np.bincount(numbers, right - scores, bins)).sum() / len(scores))
