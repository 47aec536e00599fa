"""The best spans of texts over all their windows."""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt

from keras_qa._arguments import check_positive_integers, is_number, must_be
from keras_qa.decoding import window_words
from keras_qa.decoding.window_words import WindowWords


@dataclasses.dataclass(frozen=True, eq=False)
class Spans:
    """The best spans of several texts, best first.

    Args:
        start: `(texts, k)` int32: first character of each span. Padded with -1
            if a text has fewer than `k` spans.
        end: `(texts, k)` int32: one past the last character. Padded with -1.
        score: `(texts, k)` float64: probability of the span. Padded with 0.
        no_answer: `(texts,)` float64: probability that the text has no answer.
            It sums to 1 with the scores of all spans.
    """

    start: npt.NDArray[np.int32]
    end: npt.NDArray[np.int32]
    score: npt.NDArray[np.float64]
    no_answer: npt.NDArray[np.float64]


def top_spans(
    start: npt.ArrayLike,
    end: npt.ArrayLike,
    offsets: npt.ArrayLike,
    example: npt.ArrayLike,
    k: int = 1,
    max_answer_words: int = 30,
    no_answer: bool = True,
    temperature: float = 1.0,
    word_sizes: npt.ArrayLike | None = None,
) -> Spans:
    """Finds the best spans of each text over all its windows.

    The logit of a span is the sum of its start and end logits; the logit of a
    word is the log-sum-exp of those of its pieces. Scores are a softmax over
    all spans of all windows of a text, and over "no answer". The scores of a
    span that several windows contain are added. The logit of "no answer" is
    that of position 0 in the window where it is lowest, because an answer in
    any window is an answer of the text.

    Args:
        start: `(windows, positions)` start logits. Position 0 stands for no
            answer.
        end: `(windows, positions)` end logits.
        offsets: `(windows, positions, 2)`: offsets of the word at each
            position, negative at positions without a word, which are never
            part of an answer: `Windows.words`. With `Windows.offsets` answers
            may begin and end within words.
        example: `(windows,)`: the text of each window, ascending:
            `Windows.example`.
        k: Number of spans per text.
        max_answer_words: Maximum number of words of a span, including
            punctuation marks, each counted by its `word_sizes`.
        no_answer: Whether a text may have no answer. If false, position 0 is
            ignored.
        temperature: The logits are divided by it. See `fit_temperature`.
        word_sizes: `(windows, positions)`: size of the word at each position,
            from 0 to 1: `Windows.word_sizes`. `None` for 1.

    Returns:
        `Spans`, with one row for each text.

    Raises:
        ValueError: If shapes do not match, an argument is out of its range, or
            a logit is NaN or infinity.

    Reference:
        Clark and Gardner 2018, "Simple and Effective Multi-Paragraph Reading
        Comprehension", arXiv:1710.10723: one softmax over all parts of a text.
        Devlin et al. 2019, "BERT", arXiv:1810.04805: no answer at position 0.

    Examples:
        >>> import numpy as np
        >>> from keras_qa.decoding import top_spans
        >>> offsets = np.array([[[-1, -1], [0, 4], [5, 9], [10, 14]]])   # «Mary went home»
        >>> start = np.log([[1, 1, 2, 6]])
        >>> end = np.log([[2, 1, 1, 3]])
        >>> spans = top_spans(start, end, offsets, example=np.array([0]), k=2)
        >>> spans.start.tolist(), spans.end.tolist(), spans.score.round(2).tolist()
        ([[10, 5]], [[14, 14]], [[0.55, 0.18]])
        >>> spans.no_answer.round(2).tolist()
        [0.06]
    """
    check_positive_integers(k=k, max_answer_words=max_answer_words)
    if not is_number(temperature) or not temperature > 0:
        raise ValueError(must_be("temperature", "a positive number", temperature))
    logits = window_words.check_logits(start, end, offsets, example, word_sizes)
    texts = len(logits.counts)
    found = Spans(
        np.full((texts, k), -1, "int32"),
        np.full((texts, k), -1, "int32"),
        np.zeros((texts, k)),
        np.ones(texts),
    )
    for rows, part in logits.chunks():
        words = window_words.sum_words(part, max_answer_words, no_answer, temperature)
        found.no_answer[rows] = words.no_answer
        if words.start.shape[1]:
            _fill_rows(found, rows, words, k)
    return found


def _fill_rows(found: Spans, rows: np.ndarray, words: WindowWords, k: int) -> None:
    windows, columns = np.nonzero(words.offsets[..., 0] >= 0)
    # Number the distinct words of all texts. Several windows may contain the same word.
    begins, ends = words.offsets[windows, columns].T
    text = words.text[windows]
    sizes = np.zeros(len(rows), "int64")
    np.maximum.at(sizes, words.text, words.offsets[..., 1].max(axis=1) + 1)
    places = (np.cumsum(sizes) - sizes)[text] + begins
    seen = np.zeros(int(sizes.sum()), bool)
    seen[places] = True
    word = (np.cumsum(seen) - 1)[places]
    total = int(seen.sum())
    starts_at, ends_at, owner = np.empty((3, total), "int64")
    starts_at[word], ends_at[word], owner[word] = begins, ends, text

    best = words.start * window_words.combine_ahead(words.end, words.lengths, np.maximum)
    kept = _find_candidates(best[windows, columns], word, owner, len(rows), k)[word]
    windows, columns, word = windows[kept], columns[kept], word[kept]
    lengths = words.lengths[windows, columns]
    length = min(int(lengths.max()), words.end.shape[1])
    padded = np.pad(words.end, ((0, 0), (0, length)))
    masses = padded[windows[:, None], columns[:, None] + np.arange(length)]
    masses *= words.start[windows, columns][:, None]
    masses[np.arange(length) >= lengths[:, None]] = 0.0
    # Add the masses of the same span in several windows.
    order = np.argsort(word, kind="stable")
    word = word[order]
    first = window_words.find_firsts(word)
    word, masses = word[first], np.add.reduceat(masses[order], first, axis=0)

    owner = owner[word]
    slot, width = _slots(owner, len(rows))
    table = np.zeros((len(rows), width * length))
    table.reshape(len(rows), width, length)[owner, slot] = masses
    from_word = np.zeros((len(rows), width), "int64")
    from_word[owner, slot] = word
    count = min(k, table.shape[1])
    every = np.arange(len(rows))[:, None]
    top = np.sort(np.argpartition(table, -count, axis=1)[:, -count:], axis=1)
    top = top[every, np.argsort(-table[every, top], axis=1, kind="stable")]
    masses = table[every, top]
    first_word = from_word[every, top // length]
    last_word = np.minimum(first_word + top % length, total - 1)
    found.start[rows, :count] = np.where(masses > 0, starts_at[first_word], -1)
    found.end[rows, :count] = np.where(masses > 0, ends_at[last_word], -1)
    found.score[rows, :count] = masses * words.weight[:, None]


def _find_candidates(
    best: np.ndarray, word: np.ndarray, owner: np.ndarray, texts: int, k: int
) -> npt.NDArray[np.bool_]:
    """Which words may begin one of the `k` best spans of their text.

    `best` is the highest mass of a span from a word in a window, `word` the
    number of that word, and `owner` the text of each word. The mass of the
    best span from a word is at most the sum of `best` over the windows, and at
    least the mean. A word is no candidate if its sum is below the k-th mean.
    """
    total = len(owner)
    upper = np.bincount(word, best, total)
    slot, width = _slots(owner, texts)
    lower = np.full((texts, width), -1.0)
    lower[owner, slot] = upper / np.bincount(word, minlength=total)
    at = width - min(k, width)
    candidates: npt.NDArray[np.bool_] = upper >= np.partition(lower, at, axis=1)[:, at][owner]
    return candidates


def _slots(owner: np.ndarray, texts: int) -> tuple[np.ndarray, int]:
    """Position of each entry within its text, and the maximum number of entries of a text."""
    each = np.bincount(owner, minlength=texts)
    return np.arange(len(owner)) - np.repeat(np.cumsum(each) - each, each), int(each.max())
