"""`SpanDecoder`: the best spans of texts, from the logits of a reader for their windows."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
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

# Without calibration: no answer if that is likelier than all answers together.
THRESHOLD = 0.5

# They leave the probability of no answer as it is.
NO_ANSWER_WEIGHTS = (1.0, 0.0, 0.0)

# Positions decoded at a time, so that the arrays fit into the processor's cache.
MAX_POSITIONS = 2**18

# Answers that are not spans.
ANSWER_TYPES = ("yes", "no")

# Logits are clipped to this far below the best of their text, so that no mass is zero.
_MIN_LOGIT = -300.0


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

    The logit of a span is the sum of its start and end logits; the logit of a
    word is the log-sum-exp of those of its pieces. Scores are a softmax over
    all spans of all windows of a text, and over "no answer". The scores of a
    span that several windows contain are added. The logit of "no answer" is
    that of position 0 in the window where it is lowest, because an answer in
    any window is an answer of the text. The logit of an answer type, such as
    "yes", is that of its position in the window where it is highest.

    Args:
        max_answer_words: Maximum number of words of an answer, including punctuation marks. In
            scripts without spaces, two letters of Han, Hiragana or Katakana count as one word,
            and four of Thai, Lao, Khmer or Myanmar.
        no_answer: Whether a text may have no answer.
        no_answer_threshold: If the probability of no answer is higher, the
            text has no answer. `None` for 0.5.
        temperature: The logits are divided by it, see `fit_temperature`.
        whole_words: Whether answers begin and end at the borders of words. If
            false, they begin and end with any piece of the tokenizer, and
            `max_answer_words` counts pieces.
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
        Clark and Gardner 2018, "Simple and Effective Multi-Paragraph Reading
        Comprehension", arXiv:1710.10723: one softmax over all parts of a text.
        Devlin et al. 2019, "BERT", arXiv:1810.04805: no answer at position 0.

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
        given = self.no_answer_weights
        weights = tuple(given) if isinstance(given, (list, tuple)) else ()
        if len(weights) != 3:
            raise ValueError(must_be("no_answer_weights", "three numbers", given))
        for weight in weights:
            check_number("no_answer_weights", weight)
        object.__setattr__(self, "no_answer_weights", weights)

    @property
    def threshold(self) -> float:
        """`no_answer_threshold`, or its default."""
        return THRESHOLD if self.no_answer_threshold is None else self.no_answer_threshold

    @property
    def weighs_no_answer(self) -> bool:
        """Whether `no_answer_weights` change a probability."""
        return self.no_answer and self.no_answer_weights != NO_ANSWER_WEIGHTS

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
                positions without a word, which are never part of an answer: `Windows.words`. With
                `Windows.offsets` answers may begin and end within words.
            example: `(windows,)`: the text of each window, ascending: `Windows.example`.
            k: Number of spans per text.
            word_sizes: `(windows, positions)`: how much the word at each position counts for
                `max_answer_words`, from 0 to 1: `Windows.word_sizes`. `None` for 1.

        Returns:
            A named tuple with a row for each text: `start` and `end`, `(texts, k)`, the first
            character of each span and one past its last, padded with -1; `score`, `(texts, k)`,
            their probabilities; `no_answer`, `(texts,)`, the probability of no answer; and
            `answer_types`, `(texts, answer_types)`, those of the answer types.

        Raises:
            ValueError: If shapes do not match, or a logit is NaN or infinity.
        """
        check_positive_integers(k=k)
        logits = check_logits(start, end, words, example, word_sizes)
        texts, types = len(logits.counts), len(self.answer_types)
        found = Spans(
            np.full((texts, k), -1, "int32"),
            np.full((texts, k), -1, "int32"),
            np.zeros((texts, k)),
            np.ones(texts),
            np.zeros((texts, types)),
        )
        for rows, part in logits.chunks():
            summed = sum_words(part, self.max_answer_words, self.no_answer, self.temperature, types)
            found.no_answer[rows] = summed.no_answer
            found.answer_types[rows] = np.maximum.reduceat(summed.types, part.firsts)
            if summed.start.shape[1]:
                _fill_rows(found, rows, summed, k)
        return found

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return dataclasses.asdict(self)

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> SpanDecoder:
        """Creates a decoder from the result of `get_config`."""
        return cls(**config)


class WindowLogits(NamedTuple):
    """The output of a reader for the windows of several texts."""

    # `(windows, positions)` logits.
    start: np.ndarray
    end: np.ndarray
    # `(windows, positions, 2)` and `(windows, positions)`: offsets and size of each word.
    offsets: np.ndarray
    sizes: np.ndarray
    # `(texts,)`: the first window of each text, and its number of windows.
    firsts: np.ndarray
    counts: np.ndarray

    def chunks(self) -> Iterator[tuple[np.ndarray, WindowLogits]]:
        """Yields positions of texts and their logits, in chunks of bounded size."""
        order = np.argsort(self.counts, kind="stable")
        sizes = np.cumsum(self.counts[order]) * max(self.start.shape[1], 1)
        begin = 0
        while begin < len(order):
            limit = (sizes[begin - 1] if begin else 0) + MAX_POSITIONS
            stop = max(int(np.searchsorted(sizes, limit, side="right")), begin + 1)
            texts = order[begin:stop]
            counts = self.counts[texts]
            firsts = np.cumsum(counts) - counts
            rows = np.repeat(self.firsts[texts] - firsts, counts) + np.arange(counts.sum())
            start, end = self.start[rows], self.end[rows]
            offsets, sizes_of_words = self.offsets[rows], self.sizes[rows]
            yield texts, WindowLogits(start, end, offsets, sizes_of_words, firsts, counts)
            begin = stop


class WindowWords(NamedTuple):
    """The words of windows, with a start mass and an end mass each.

    The probability of the span from word `i` to word `j` of window `w` of text
    `t` is `start[w, i] * end[w, j] * weight[t]`.
    """

    # `(windows, words)` float64, padded with 0.
    start: np.ndarray
    end: np.ndarray
    # `(windows, positions)`: the word at each position. Undefined at positions without a word.
    column: np.ndarray
    # `(windows, words, 2)` int64, padded with -1.
    offsets: np.ndarray
    # `(windows,)`: the text of each window.
    text: np.ndarray
    # `(windows, words)`: maximum number of words of a span that begins with this word, and the sum
    # of the end masses of these spans.
    lengths: np.ndarray
    ends_within: np.ndarray
    # `(texts,)` float64. `no_answer` is the probability of no answer.
    weight: np.ndarray
    no_answer: np.ndarray
    # `(windows, types)` float64. The probability of an answer type is its highest over a text.
    types: np.ndarray


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

    best = words.start * combine_ahead(words.end, words.lengths, np.maximum)
    kept = _find_candidates(best[windows, columns], word, owner, len(rows), k)[word]
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


def check_answer_types(given: object) -> tuple[str, ...]:
    """Returns answer types that are not spans, as a tuple, or raises."""
    types = tuple(given) if isinstance(given, (list, tuple)) else (given,)
    if any(one not in ANSWER_TYPES or types.count(one) > 1 for one in types):
        expected = 'a list that holds "yes" or "no" or both besides "span", each once'
        raise ValueError(must_be("answer_types", expected, given))
    return types


def check_logits(
    start: npt.ArrayLike,
    end: npt.ArrayLike,
    offsets: npt.ArrayLike,
    example: npt.ArrayLike,
    sizes: npt.ArrayLike | None,
) -> WindowLogits:
    """Checks the output of a reader and groups its windows by text."""
    start, end, offsets, example = map(np.asarray, (start, end, offsets, example))
    sizes = np.ones(start.shape, "float32") if sizes is None else np.asarray(sizes)
    if start.ndim != 2:
        raise ValueError(
            f"`start` must have the shape (windows, positions). Received: {start.shape}."
        )
    for name, array, shape in (
        ("end", end, start.shape),
        ("offsets", offsets, (*start.shape, 2)),
        ("example", example, start.shape[:1]),
        ("word_sizes", sizes, start.shape),
    ):
        if array.shape != shape:
            raise ValueError(
                f"`{name}` must have the shape {shape}, because `start` has {start.shape}. "
                f"Received: {array.shape}."
            )
    smaller = example[1:] < example[:-1]
    if smaller.any():
        raise ValueError(
            "`example` must be ascending, so that the windows of a text are consecutive. Received: "
            f"{example[:-1][smaller][0]} before a lower number."
        )
    inside = (sizes >= 0) & (sizes <= 1)
    if not inside.all():
        raise ValueError(f"`word_sizes` must be between 0 and 1. Received: {sizes[~inside][0]}.")
    for name, array in (("start", start), ("end", end)):
        # Comparisons with NaN are false.
        good = array < np.inf
        if not good.all():
            window, position = np.argwhere(~good)[0].tolist()
            raise ValueError(
                f"`{name}` must not hold NaN or infinity. Received: {array[window, position]} at "
                f"[{window}, {position}]. Check the model's weights."
            )
    edges = np.append(find_firsts(example), len(example))
    return WindowLogits(start, end, offsets, sizes, edges[:-1], edges[1:] - edges[:-1])


def find_firsts(numbers: np.ndarray) -> npt.NDArray[np.int64]:
    """Position of the first occurrence of each number in an ascending array."""
    new = np.ones(len(numbers), bool)
    new[1:] = numbers[1:] != numbers[:-1]
    return np.flatnonzero(new)


def sum_words(
    part: WindowLogits,
    max_answer_words: int,
    no_answer: bool,
    temperature: float,
    num_types: int = 0,
) -> WindowWords:
    """Sums the masses of the pieces of each word, and normalizes them over each text."""
    texts, windows = len(part.counts), len(part.start)
    text = np.repeat(np.arange(texts), part.counts)
    begins = part.offsets[..., 0]
    present = begins >= 0
    # Pieces of one word have the offsets of the word.
    new = present.copy()
    new[:, 1:] &= begins[:, 1:] != begins[:, :-1]
    column = np.cumsum(new, axis=1) - 1
    size = int(column[:, -1:].max(initial=-1)) + 1
    rows, positions = np.nonzero(present)
    which = column[rows, positions]
    cells = rows * size + which
    owner = text[rows]
    each = find_firsts(owner)
    masses = []
    scale = np.zeros(texts)
    for array in (part.start, part.end):
        values = array[rows, positions].astype("float64")
        highest = np.full(texts, -np.inf)
        if len(values):
            highest[owner[each]] = np.maximum.reduceat(values, each)
        # If all logits are minus infinity, all spans are equally likely.
        highest[highest == -np.inf] = 0.0
        values = np.maximum((values - highest[owner]) / temperature, _MIN_LOGIT)
        mass = np.bincount(cells, np.exp(values), windows * size).reshape(windows, size)
        masses.append(mass)
        scale += highest / temperature
    start, end = masses
    offsets = np.full((windows, size, 2), -1, "int64")
    offsets[rows, which] = part.offsets[rows, positions]
    lengths = np.full((windows, size), max_answer_words)
    counted = part.sizes[rows, positions]
    if (counted != 1).any():
        sizes = np.ones((windows, size))
        sizes[rows, which] = counted
        lengths = _count_words_within(sizes, max_answer_words)
    ends_within = combine_ahead(end, lengths, np.add)
    total = np.add.reduceat((start * ends_within).sum(axis=1), part.firsts) if texts else scale
    empty = np.full(texts, -np.inf)
    none = empty
    if no_answer:
        # An answer in any window is an answer of the text.
        lowest = part.start[:, 0].astype("float64") + part.end[:, 0]
        none = np.maximum(np.minimum.reduceat(lowest, part.firsts) / temperature, -1e300)
    types = part.start[:, 1 : 1 + num_types].astype("float64") + part.end[:, 1 : 1 + num_types]
    types = np.maximum(types / temperature, -1e300)
    type_logits = np.maximum.reduceat(types, part.firsts) if texts else types
    # A text without words has the probability 1 of no answer, unless there are other types.
    scale = np.where(total > 0, scale, -np.inf)
    none = np.where((total > 0) | (none > -np.inf) | (num_types > 0), none, 0.0)
    most = np.maximum(np.maximum(scale, none), type_logits.max(axis=1, initial=-np.inf))
    weight, no_answer_mass = np.exp(scale - most), np.exp(none - most)
    everything = weight * total + no_answer_mass
    everything = everything + np.exp(type_logits - most[:, None]).sum(axis=1)
    return WindowWords(
        start,
        end,
        column,
        offsets,
        text,
        lengths,
        ends_within,
        weight / everything,
        no_answer_mass / everything,
        np.exp(types - most[text, None]) / everything[text, None],
    )


def combine_ahead(values: np.ndarray, lengths: np.ndarray, combine: np.ufunc) -> np.ndarray:
    """Reduces `values[:, i : i + lengths[:, i]]` for each `i`, in log2 of the longest length steps.

    `combine` is a reduction of which 0 is the identity: `np.add` or `np.maximum`.
    """
    size = values.shape[1]
    longest = min(int(lengths.max(initial=0)), size)
    lengths = np.minimum(lengths, longest)
    power = np.concatenate([values, np.zeros((len(values), longest))], axis=1)
    result = np.zeros_like(values)
    place = np.tile(np.arange(size), (len(values), 1))
    step = 1
    while step <= longest:
        taken = lengths & step
        ahead = np.take_along_axis(power, place, axis=1)
        result = np.where(taken, combine(result, ahead), result)
        place += taken
        power[:, :-step] = combine(power[:, :-step], power[:, step:])
        step *= 2
    return result


def _count_words_within(sizes: np.ndarray, most: int) -> np.ndarray:
    """Number of words from each one on whose sizes sum to at most `most`."""
    rows, words = sizes.shape
    # Sizes are multiples of a quarter, so that sums are exact.
    ends = np.cumsum(sizes, axis=1)
    # Shift rows apart, so that one search over all rows never reaches the next row.
    apart = np.arange(rows)[:, None] * (words + most + 1.0)
    last = np.searchsorted((ends + apart).ravel(), (ends - sizes + most + apart).ravel(), "right")
    lengths: npt.NDArray[np.int64] = last - np.arange(sizes.size)
    return lengths.reshape(sizes.shape)
