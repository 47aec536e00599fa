"""Spans from labels of tokens: runs of words that are inside an answer."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from keras_qa.decoding.decoder import Spans, _slots, check_logits


def find_runs(inside: npt.ArrayLike, words: npt.ArrayLike, example: npt.ArrayLike) -> Spans:
    """Finds the runs of words that are inside an answer, best first.

    The probability of a word is the mean over its pieces in all windows. A word is inside if this
    is above 0.5, and the score of a run is the mean over its words (Segal et al. 2020, "A Simple
    and Effective Model for Answering Multi-span Questions", arXiv:1909.13375).

    Args:
        inside: `(windows, positions)`: the logit of "inside" minus that of "outside".
        words: As in a call of `SpanDecoder`.
        example: As in a call of `SpanDecoder`.

    Returns:
        As a call of `SpanDecoder`, with as many columns as a text has runs. The probability of no
        answer is 1 minus that of the likeliest word.

    Raises:
        ValueError: As a call of `SpanDecoder`.
    """
    logits = check_logits(inside, inside, words, example, None)
    texts = len(logits.counts)
    windows, positions = np.nonzero(logits.offsets[..., 0] >= 0)
    text = np.repeat(np.arange(texts), logits.counts)[windows]
    begin, end = logits.offsets[windows, positions].T
    _, place, word = np.unique(text * 2**31 + begin, return_index=True, return_inverse=True)
    values = logits.start[windows, positions].astype("float64")
    chance = np.bincount(word, 0.5 + 0.5 * np.tanh(values / 2)) / np.bincount(word)
    owner, begin, end = text[place], begin[place], end[place]
    no_answer = np.ones(texts)
    np.minimum.at(no_answer, owner, 1.0 - chance)

    is_inside = chance > 0.5
    is_first = is_inside.copy()
    is_first[1:] &= ~is_inside[:-1] | (owner[1:] != owner[:-1])
    run = np.cumsum(is_first)[is_inside] - 1
    score = np.bincount(run, chance[is_inside]) / np.bincount(run)
    order = np.lexsort((-score, owner[is_first]))
    row = owner[is_first][order]
    column, most = _slots(row, texts)
    start_of, end_of = np.full((2, texts, most), -1, "int32")
    found = Spans(start_of, end_of, np.zeros((texts, most)), no_answer, np.zeros((texts, 0)))
    lasts = np.flatnonzero(np.diff(run, append=-1))
    found.start[row, column] = begin[is_first][order]
    found.end[row, column] = end[is_inside][lasts][order]
    found.score[row, column] = score[order]
    return found
