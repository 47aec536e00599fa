"""The best spans of texts, over all their windows together."""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt

from keras_qa._arguments import check_positive_integers, is_number, must_be
from keras_qa.decoding import window_words
from keras_qa.decoding.window_words import WindowWords
from keras_qa.text.padding import resize

# Of one text: to leave some out takes longer than to look at them all.
_FEW_WORDS = 512


@dataclasses.dataclass(frozen=True, eq=False)
class Spans:
    """The best spans of some texts, best first.

    Args:
        start: `(texts, k)` int32: where a span begins, in characters of its
            text. -1 where there are fewer than `k` spans.
        end: `(texts, k)` int32: one past its last character, or -1.
        score: `(texts, k)` float64: its probability, 0 where there is none.
        no_answer: `(texts,)` float64: the probability that the text has no
            answer. With the scores of all spans there are it adds up to 1.
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
    """Finds the best spans in each text, over all its windows.

    A span scores the sum of its start and end logits, and a word the
    log-sum-exp of its pieces. One softmax over all spans of all windows of a
    text makes the scores comparable: a span that several windows hold gets
    the sum of what they give it. That there is no answer competes with the
    logits of position 0 in the window that believes it least, since an answer
    in any window is one.

    Args:
        start: `(windows, positions)` logits of the start of an answer. Position
            0 stands for no answer.
        end: `(windows, positions)` logits of its end.
        offsets: `(windows, positions, 2)`: where in its text the word at each
            position stands, negative where no word is: `Windows.words`, or
            `Windows.offsets` to let answers be parts of words. Padding, the
            question and special tokens are never part of an answer.
        example: `(windows,)`: which text each window is from, ascending:
            `Windows.example`.
        k: Number of spans a text.
        max_answer_words: Most words of a span (pieces, where `offsets` are theirs),
            punctuation marks included, as `word_sizes` count them.
        no_answer: Whether there may be no answer. Otherwise position 0 is not
            looked at.
        temperature: What the logits are divided by. See `fit_temperature`.
        word_sizes: `(windows, positions)`: what the word at each position counts as, from 0 to 1:
            `Windows.word_sizes`, where letters of scripts without spaces are less than a word.
            `None` for 1 each.

    Returns:
        `Spans`, a row for each text.

    Raises:
        ValueError: If shapes do not match, an argument is out of its range, or
            a logit is no number.

    Reference:
        Clark and Gardner 2018, "Simple and Effective Multi-Paragraph Reading
        Comprehension", arXiv:1710.10723: scores shared by all parts of a text.
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
    logits = window_words.logits(start, end, offsets, example, word_sizes)
    texts = len(logits.counts)
    found = Spans(
        np.full((texts, k), -1, "int32"),
        np.full((texts, k), -1, "int32"),
        np.zeros((texts, k)),
        np.ones(texts),
    )
    for rows, part in logits.parts():
        words = window_words.words(part, max_answer_words, no_answer, temperature)
        found.no_answer[rows] = words.no_answer
        if words.start.shape[1]:
            _fill(found, rows, words, k)
    return found


def _fill(found: Spans, rows: np.ndarray, words: WindowWords, k: int) -> None:
    windows, columns = np.nonzero(words.offsets[..., 0] >= 0)
    # The words of all texts in one row, each once, however many windows hold it.
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

    if len(rows) > 1 or len(word) > _FEW_WORDS:
        best = words.start * window_words.band(words.end, words.lengths, np.maximum)
        kept = _candidates(best[windows, columns], word, owner, len(rows), k)[word]
        windows, columns, word = windows[kept], columns[kept], word[kept]
    lengths = words.lengths[windows, columns]
    length = min(int(lengths.max()), words.end.shape[1])
    padded = resize(words.end, (len(words.end), words.end.shape[1] + length))
    masses = padded[windows[:, None], columns[:, None] + np.arange(length)]
    masses *= words.start[windows, columns][:, None]
    masses[np.arange(length) >= lengths[:, None]] = 0.0
    # What several windows give to one span adds up.
    order = np.argsort(word, kind="stable")
    word = word[order]
    first = window_words.firsts(word)
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


def _candidates(
    best: np.ndarray, word: np.ndarray, owner: np.ndarray, texts: int, k: int
) -> npt.NDArray[np.bool_]:
    """The words from which a span among the `k` best of its text may begin.

    `best` is the highest mass of a span from each word in each window, `word`
    which word that is, `owner` the text of each word. A span has no more than
    the sum of `best` over the windows, and the best span from a word no less
    than the mean: what is below the k-th highest mean is out.
    """
    total = len(owner)
    upper = np.bincount(word, best, total)
    slot, width = _slots(owner, texts)
    lower = np.full((texts, width), -1.0)
    lower[owner, slot] = upper / np.bincount(word, minlength=total)
    at = width - min(k, width)
    if total < len(word):
        likely: npt.NDArray[np.bool_] = upper >= np.partition(lower, at, axis=1)[:, at][owner]
        return likely
    # Each word is in one window: exactly k will do, even where many are equal.
    chosen = np.zeros(lower.shape, bool)
    np.put_along_axis(chosen, np.argpartition(lower, at, axis=1)[:, at:], True, axis=1)
    kept: npt.NDArray[np.bool_] = chosen[owner, slot]
    return kept


def _slots(owner: np.ndarray, texts: int) -> tuple[np.ndarray, int]:
    """A number within its text for each entry, in order, and how many a text has at most."""
    each = np.bincount(owner, minlength=texts)
    return np.arange(len(owner)) - np.repeat(np.cumsum(each) - each, each), int(each.max())
