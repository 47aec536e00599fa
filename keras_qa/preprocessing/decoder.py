"""`SpanDecoder`: the best spans of texts, from the logits of a reader for their windows."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from keras_qa._arguments import (
    check_flag,
    check_fraction,
    check_number,
    check_positive_integers,
    must_be,
    to_integer,
)
from keras_qa.preprocessing.window_words import (
    WindowOutputs,
    WindowWords,
    check_logits,
    combine_ahead,
    find_firsts,
    sum_words,
)

# Without calibration: no answer if that is likelier than all answers together.
THRESHOLD = 0.5

# They leave the probability of no answer as it is.
NO_ANSWER_WEIGHTS = (1.0, 0.0, 0.0)

# Answers that are not spans.
ANSWER_TYPES = ("yes", "no")


class Spans(NamedTuple):
    """The best spans of several texts, see `SpanDecoder.__call__`."""

    start: npt.NDArray[np.int32]
    end: npt.NDArray[np.int32]
    score: npt.NDArray[np.float64]
    no_answer: npt.NDArray[np.float64]
    answer_types: npt.NDArray[np.float64]


@dataclasses.dataclass(frozen=True)
class SpanDecoder:
    """Finds the best spans of texts over all their windows.

    The logit of a span is the sum of its start and end logits; the logit of a word is the
    log-sum-exp of those of its pieces. Scores are a softmax over all spans of all windows of a
    text, and over "no answer". The scores of a span that several windows contain are added. The
    logit of "no answer" is that of position 0 in the window where it is lowest, because an answer
    in any window is an answer of the text. That of an answer type is the highest of a window.

    Args:
        max_answer_words: Maximum number of words of an answer, including punctuation marks. In
            scripts without spaces, two letters of Han, Hiragana or Katakana count as one word,
            and four of Thai, Lao, Khmer or Myanmar.
        no_answer: Whether a text may have no answer.
        no_answer_threshold: If the probability of no answer is higher, the text has no answer.
            `None` for 0.5.
        temperature: The logits are divided by it.
        whole_words: Whether answers begin and end at the borders of words. If false, they begin and
            end with any piece of the tokenizer, and `max_answer_words` counts pieces.
        answer_types: Answers that are not spans, such as `("yes", "no")`. Their logits are at the
            positions 1, 2 and so on.
        span_threshold: If a question asks for several spans, those with a higher score are its
            answers.
        no_answer_weights: Three weights, from which preprocessors compute the probability of no
            answer that they report. Its logit is a sum: the first weight times the logit from the
            softmax, the second, and the third if a name or a number of the question is neither
            near the best span nor at the beginning of the text. A decoder alone does not use them.

    Raises:
        ValueError: If an argument is out of its range.

    Reference:
        Clark and Gardner 2018, arXiv:1710.10723: one softmax over all parts of a text. Devlin et
        al. 2019, "BERT", arXiv:1810.04805: no answer at position 0.

    Examples:
        >>> import numpy as np
        >>> from keras_qa.preprocessing import SpanDecoder
        >>> words = np.array([[[-1, -1], [0, 4], [5, 9], [10, 14]]])   # «Mary went home»
        >>> start = np.log([[1, 1, 2, 6]])
        >>> end = np.log([[2, 1, 1, 3]])
        >>> spans = SpanDecoder(no_answer=True)(start, end, words, example=np.array([0]), k=2)
        >>> spans.start.tolist(), spans.end.tolist(), spans.score.round(2).tolist()
        ([[10, 5]], [[14, 14]], [[0.55, 0.18]])
        >>> spans.no_answer.round(2).tolist()
        [0.06]
    """

    max_answer_words: int = 15
    no_answer: bool = False
    no_answer_threshold: float | None = None
    temperature: float = 1.0
    whole_words: bool = True
    answer_types: tuple[str, ...] = ()
    span_threshold: float = 0.2
    no_answer_weights: tuple[float, float, float] = NO_ANSWER_WEIGHTS

    def __post_init__(self) -> None:
        words = to_integer("max_answer_words", self.max_answer_words)
        object.__setattr__(self, "max_answer_words", words)
        check_flag("no_answer", self.no_answer)
        if self.no_answer_threshold is not None:
            check_fraction("no_answer_threshold", self.no_answer_threshold)
        check_number("temperature", self.temperature, positive=True)
        check_flag("whole_words", self.whole_words)
        object.__setattr__(self, "answer_types", check_answer_types(self.answer_types))
        check_fraction("span_threshold", self.span_threshold)
        weights = self.no_answer_weights
        if not isinstance(weights, (list, tuple)) or len(weights) != 3:
            raise ValueError(must_be("no_answer_weights", "three numbers", weights))
        for weight in weights:
            check_number("no_answer_weights", weight)
        object.__setattr__(self, "no_answer_weights", tuple(weights))

    @property
    def threshold(self) -> float:
        """`no_answer_threshold`, or its default."""
        return THRESHOLD if self.no_answer_threshold is None else self.no_answer_threshold

    def __call__(
        self,
        start: npt.ArrayLike,
        end: npt.ArrayLike,
        words: npt.ArrayLike,
        example: npt.ArrayLike,
        k: int = 1,
        word_sizes: npt.ArrayLike | None = None,
    ) -> Spans:
        """Finds the `k` best spans of each text.

        Args:
            start: `(windows, positions)` start logits. Position 0 stands for no answer, and the
                next ones for `answer_types`.
            end: `(windows, positions)` end logits.
            words: `(windows, positions, 2)`: offsets of the word at each position, negative at
                positions without a word, which are never part of an answer: `Windows.words`.
            example: `(windows,)`: the text of each window, ascending: `Windows.example`.
            k: Number of spans per text.
            word_sizes: `(windows, positions)`: how much the word at each position counts for
                `max_answer_words`, from 0 to 1: `Windows.word_sizes`. `None` for 1.

        Returns:
            A named tuple with a row for each text: `start` and `end`, `(texts, spans)`, the first
            character of each span and one past its last, padded with -1; `score`,
            `(texts, spans)`, their probabilities; `no_answer`, `(texts,)`, the probability of no
            answer; and `answer_types`, `(texts, answer_types)`, those of the answer types. There
            are `k` spans, or fewer if no text has so many, but at least 1.

        Raises:
            ValueError: If shapes do not match, or a logit is NaN or infinity.
        """
        check_positive_integers(k=k)
        sizes = np.ones(np.shape(start), "float32") if word_sizes is None else word_sizes
        arrays = map(np.asarray, (start, end, words, example, sizes))
        logits = check_logits(WindowOutputs(*arrays))
        texts, types = len(logits.counts), len(self.answer_types)
        no_answer, type_scores = np.ones(texts), np.zeros((texts, types))
        parts = []
        for rows, part in logits.chunks():
            summed = sum_words(part, self.max_answer_words, self.no_answer, self.temperature, types)
            no_answer[rows] = summed.no_answer
            type_scores[rows] = np.maximum.reduceat(summed.types, part.firsts)
            if summed.start.shape[1]:
                parts.append((rows, *_find_best(summed, len(rows), k)))
        count = max((part[-1].shape[1] for part in parts), default=1)
        start_offsets, end_offsets = np.full((2, texts, count), -1, "int32")
        scores = np.zeros((texts, count))
        for rows, *best in parts:
            for every, array in zip((start_offsets, end_offsets, scores), best, strict=True):
                every[rows, : array.shape[1]] = array
        return Spans(start_offsets, end_offsets, scores, no_answer, type_scores)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return dataclasses.asdict(self)

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> SpanDecoder:
        """Creates a decoder from the result of `get_config`."""
        return cls(**config)


def _find_best(words: WindowWords, texts: int, k: int) -> tuple[np.ndarray, ...]:
    """Returns starts, ends and scores of the best spans of texts: at most `k`, best first."""
    windows, columns = np.nonzero(words.offsets[..., 0] >= 0)
    # Number the distinct words of all texts. Several windows may contain the same word.
    begins, ends = words.offsets[windows, columns].T
    text = words.text[windows]
    sizes = np.zeros(texts, "int64")
    np.maximum.at(sizes, words.text, words.offsets[..., 1].max(axis=1) + 1)
    characters = (np.cumsum(sizes) - sizes)[text] + begins
    is_begin = np.zeros(int(sizes.sum()), bool)
    is_begin[characters] = True
    word = (np.cumsum(is_begin) - 1)[characters]
    total = int(is_begin.sum())
    starts_at, ends_at, owner = np.empty((3, total), "int64")
    starts_at[word], ends_at[word], owner[word] = begins, ends, text

    best = words.start * combine_ahead(words.end, words.lengths, np.maximum)
    kept = _find_candidates(best[windows, columns], word, owner, texts, k)[word]
    windows, columns, word = windows[kept], columns[kept], word[kept]
    lengths = words.lengths[windows, columns]
    length = min(int(lengths.max()), words.end.shape[1])
    padded = np.concatenate([words.end, np.zeros((len(words.end), length))], axis=1)
    masses = padded[windows[:, None], columns[:, None] + np.arange(length)]
    masses *= words.start[windows, columns][:, None]
    masses[np.arange(length) >= lengths[:, None]] = 0.0
    # Add the masses of the same span in several windows.
    order = np.argsort(word, kind="stable")
    word = word[order]
    first = find_firsts(word)
    word, masses = word[first], np.add.reduceat(masses[order], first, axis=0)

    owner = owner[word]
    slot, width = _slots(owner, texts)
    table = np.zeros((texts, width * length))
    table.reshape(texts, width, length)[owner, slot] = masses
    from_word = np.zeros((texts, width), "int64")
    from_word[owner, slot] = word
    count = min(k, table.shape[1])
    every = np.arange(texts)[:, None]
    top = np.sort(np.argpartition(table, -count, axis=1)[:, -count:], axis=1)
    top = top[every, np.argsort(-table[every, top], axis=1, kind="stable")]
    masses = table[every, top]
    first_word = from_word[every, top // length]
    last_word = np.minimum(first_word + top % length, total - 1)
    starts = np.where(masses > 0, starts_at[first_word], -1)
    return starts, np.where(masses > 0, ends_at[last_word], -1), masses * words.weight[:, None]


def _find_candidates(
    best: np.ndarray, word: np.ndarray, owner: np.ndarray, texts: int, k: int
) -> npt.NDArray[np.bool_]:
    """Which words may begin one of the `k` best spans of their text."""
    # `best` is the highest mass of a span from a word in a window, `word` the number of that word,
    # and `owner` the text of each word. The mass of the best span from a word is at most the sum of
    # `best` over the windows, and at least the mean. Words with a sum below the k-th mean are none.
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


def check_answer_types(value: object) -> tuple[str, ...]:
    """Returns answer types that are not spans, as a tuple, or raises."""
    types = tuple(value) if isinstance(value, (list, tuple)) else (value,)
    if any(name not in ANSWER_TYPES or types.count(name) > 1 for name in types):
        expected = 'a list that holds "yes" or "no" or both besides "span", each once'
        raise ValueError(must_be("answer_types", expected, value))
    return types
