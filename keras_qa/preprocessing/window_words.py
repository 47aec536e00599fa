"""The logits of a reader for windows of texts, and the probabilities of the words in them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from keras_qa._numbers import MASKED

# Number of positions decoded at a time, so that the arrays fit into the processor's cache.
MAX_POSITIONS = 2**18

# Logits are clipped to this far below the best of their text, so that no mass is zero.
_MIN_LOGIT = -300.0


class WindowOutputs(NamedTuple):
    """The outputs of a reader for windows, see the arguments of `SpanDecoder.__call__`."""

    start: np.ndarray
    end: np.ndarray
    words: np.ndarray
    example: np.ndarray
    word_sizes: np.ndarray


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
    """The words of windows, with a start mass and an end mass each."""

    # The probability of the span from word `i` to word `j` of window `w` of text `t` is
    # `start[w, i] * end[w, j] * weight[t]`.

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


def check_logits(outputs: WindowOutputs) -> WindowLogits:
    """Checks the outputs of a reader and groups its windows by text."""
    start, end, offsets, example, sizes = outputs
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


def join_windows(parts: list[WindowOutputs]) -> WindowOutputs:
    """Concatenates the windows of several batches, padded to the widest."""
    width = max(part.start.shape[1] for part in parts)
    joined = []
    for arrays, fill in zip(zip(*parts, strict=True), (MASKED, MASKED, -1, None, 0), strict=True):
        padded = arrays if fill is None else [_pad(array, width, fill) for array in arrays]
        joined.append(np.concatenate(padded))
    return WindowOutputs(*joined)


def _pad(array: np.ndarray, width: int, fill: float) -> np.ndarray:
    padding = [(0, 0)] * array.ndim
    padding[1] = (0, width - array.shape[1])
    return np.pad(array, padding, constant_values=fill)


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
    words = column[rows, positions]
    cells = rows * size + words
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
    offsets[rows, words] = part.offsets[rows, positions]
    lengths = np.full((windows, size), max_answer_words)
    if (part.sizes[rows, positions] != 1).any():
        sizes = np.ones((windows, size))
        sizes[rows, words] = part.sizes[rows, positions]
        lengths = _count_words_within(sizes, max_answer_words)
    ends_within = combine_ahead(end, lengths, np.add)
    total = np.add.reduceat((start * ends_within).sum(axis=1), part.firsts) if texts else scale
    none = np.full(texts, -np.inf)
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
    """Reduces `values[:, i : i + lengths[:, i]]` for each `i` by `np.add` or `np.maximum`."""
    # The number of steps is log2 of the longest length.
    size = values.shape[1]
    longest = min(int(lengths.max(initial=0)), size)
    lengths = np.minimum(lengths, longest)
    power = np.concatenate([values, np.zeros((len(values), longest))], axis=1)
    result = np.zeros_like(values)
    position = np.tile(np.arange(size), (len(values), 1))
    step = 1
    while step <= longest:
        taken = lengths & step
        ahead = np.take_along_axis(power, position, axis=1)
        result = np.where(taken, combine(result, ahead), result)
        position += taken
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
