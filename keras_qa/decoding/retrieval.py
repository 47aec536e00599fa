"""How much retrieval counts beside reading, fitted together with the temperature."""

from __future__ import annotations

import functools
import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from keras_qa._arguments import to_integer
from keras_qa.decoding import window_words
from keras_qa.decoding.calibration import HIGHEST, LOWEST, Rows, helps_others, least, right_masses
from keras_qa.decoding.window_words import Logits

# How much a passage may count at most, as a logarithm: more is the best passage alone.
MOST_WEIGHT = 50.0
# Both are found to a thousandth of where they are looked for.
_STEPS = 15


def fit_retrieval(
    start: npt.ArrayLike,
    end: npt.ArrayLike,
    offsets: npt.ArrayLike,
    example: npt.ArrayLike,
    spans: npt.ArrayLike,
    prior: npt.ArrayLike,
    max_answer_words: int = 30,
    no_answer: bool = True,
    word_sizes: npt.ArrayLike | None = None,
    folds: int | None = None,
) -> tuple[float, float | None]:
    """Finds temperature and weight of retrieval with which right answers are likeliest.

    A question has the windows of several passages, and a span the sum of its logits and of the
    weighted prior of its passage, both divided by the temperature. What is minimised is the
    negative log-likelihood of the right answers, all of a question together. Where no passage
    has one, that is the likelihood of no answer: scores become lower the more often retrieval
    misses.

    Args:
        start: As in `top_spans`, like all that are not named here; a text is all passages of a
            question.
        end: As there.
        offsets: As there.
        example: As there.
        spans: As in `fit_temperature`.
        prior: `(windows,)`: how well the passage of each fits, 0 for the best of its question, else
            less.
        max_answer_words: As in `top_spans`.
        no_answer: As there. Without it, questions no passage of which has a right answer are not
            looked at.
        word_sizes: As there.
        folds: As in `fit_temperature`, of questions. The weight is fitted in any case.

    Returns:
        The temperature, between 0.05 and 20, and what the priors are multiplied by, between 0 and
        50: `None` where no question has passages that fit it differently.

    Raises:
        ValueError: If shapes do not match, `folds` is less than 2, or there is nothing to compare
            with.

    Reference:
        Wang et al. 2019, "Multi-passage BERT", arXiv:1908.08167: one softmax over all passages.
        Guo et al. 2017, "On Calibration of Modern Neural Networks", arXiv:1706.04599.

    Examples:
        >>> import numpy as np
        >>> from keras_qa.decoding import fit_retrieval
        >>> offsets = np.tile([[-1, -1], [0, 1]], (8, 1, 1))  # 4 questions, 2 passages of a word
        >>> logits = np.tile([-9.0, 0.0], (8, 1))             # the reader finds them alike…
        >>> right = np.array([1, 0, 1, 0, 1, 0, 0, 1])[:, None, None]  # …but the first is right
        >>> prior = np.tile([0.0, -0.5], 4)
        >>> windows = logits, logits, offsets, np.arange(8) // 2, right * [1, 1], prior
        >>> temperature, weight = fit_retrieval(*windows, no_answer=False)
        >>> round(float(np.exp(0.5 * weight / temperature)), 2)
        3.0
    """
    if folds is not None:
        to_integer("folds", folds, least=2)
    logits = window_words.logits(start, end, offsets, example, word_sizes)
    labels, given = np.asarray(spans), np.asarray(prior, "float64")
    for name, array, shape in (
        ("spans", labels, (len(logits.start), *labels.shape[1:2], 2)),
        ("prior", given, (len(logits.start),)),
    ):
        if array.shape != shape:
            raise ValueError(f"`{name}` must have the shape {shape}. Received: {array.shape}.")
    weighs = bool((given != 0).any())
    owner = np.repeat(np.arange(len(logits.counts)), logits.counts)

    @functools.cache
    def masses(temperature: float) -> _Masses:
        return _masses(logits, labels, max_answer_words, no_answer, temperature)

    if not masses(1.0).reachable.any():
        raise ValueError(
            "No passage holds a right answer of a length that the reader gives. Give examples "
            "whose answers the passages say."
        )

    def losses(temperature: float, weight: float) -> npt.NDArray[np.float64]:
        """The losses of the questions that have something to compare."""
        found = masses(temperature)
        factor = np.exp(weight * given / temperature)
        right = np.bincount(owner, found.right * factor)
        everything = np.bincount(owner, found.total * factor) + found.no_answer
        if no_answer:
            right = np.where(found.answerable, right, found.no_answer)
        shares = right[found.compared] / everything[found.compared]
        compared: npt.NDArray[np.float64] = -np.log(np.maximum(shares, np.finfo("float64").tiny))
        return compared

    def best_weight(temperature: float, rows: Rows) -> float:
        def loss(weight: float) -> float:
            return float(losses(temperature, weight)[rows].sum())

        return least(loss, 0.0, MOST_WEIGHT, _STEPS) if weighs else 0.0

    def fitted(rows: Rows) -> tuple[float, float]:
        def loss(logarithm: float) -> float:
            temperature = math.exp(logarithm)
            return float(losses(temperature, best_weight(temperature, rows))[rows].sum())

        temperature = math.exp(least(loss, math.log(LOWEST), math.log(HIGHEST), _STEPS))
        return temperature, best_weight(temperature, rows)

    def gain(train: Rows, test: Rows) -> float:
        before = losses(1.0, best_weight(1.0, train))[test]
        return float((before - losses(*fitted(train))[test]).sum())

    count = int(masses(1.0).compared.sum())
    if folds is None or helps_others(gain, count, folds):
        temperature, weight = fitted(slice(None))
    else:
        temperature, weight = 1.0, best_weight(1.0, slice(None))
    return temperature, weight if weighs else None


class _Masses(NamedTuple):
    """What the windows and questions have without the priors, as parts of all of a question."""

    total: npt.NDArray[np.float64]
    right: npt.NDArray[np.float64]
    no_answer: npt.NDArray[np.float64]
    answerable: npt.NDArray[np.bool_]
    reachable: npt.NDArray[np.bool_]
    compared: npt.NDArray[np.bool_]


def _masses(
    logits: Logits, spans: np.ndarray, length: int, no_answer: bool, temperature: float
) -> _Masses:
    total, right = np.zeros((2, len(logits.start)))
    none, questions = np.zeros(len(logits.counts)), len(logits.counts)
    answerable, reachable = np.zeros((2, questions), bool)
    for texts, part in logits.parts():
        words = window_words.words(part, length, no_answer, temperature)
        rows = np.repeat(logits.firsts[texts] - part.firsts, part.counts)
        rows += np.arange(len(part.start))
        found = right_masses(words, spans[rows])
        total[rows] = (words.start * words.ends_within).sum(axis=1) * words.weight[words.text]
        right[rows] = found.mass
        none[texts] = words.no_answer
        answerable[texts] = np.bincount(words.text, found.answerable) > 0
        reachable[texts] = np.bincount(words.text, found.reachable) > 0
    compared = reachable | ~answerable if no_answer else reachable
    return _Masses(total, right, none, answerable, reachable, compared)
