"""Logits of windows as masses of words, for the spans of many texts at a time."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from keras_qa.text.padding import resize

# So many positions are decoded at a time, which keeps the arrays in the processor's cache.
MOST_POSITIONS = 2**18

# The logit of a position that cannot be. Finite, so that a difference of two is a number.
MASKED = -1e9

# A logit so far below the best of its text counts as this far: no mass becomes zero.
_LOWEST = -300.0


@dataclasses.dataclass(frozen=True, eq=False)
class Logits:
    """What a reader said about the windows of some texts.

    Args:
        start: `(windows, positions)` logits of the start.
        end: `(windows, positions)` logits of the end.
        offsets: `(windows, positions, 2)`: the word at each position.
        sizes: `(windows, positions)`: what it counts as.
        firsts: `(texts,)`: the first window of each text.
        counts: `(texts,)`: how many windows it has.
    """

    start: np.ndarray
    end: np.ndarray
    offsets: np.ndarray
    sizes: np.ndarray
    firsts: np.ndarray
    counts: np.ndarray

    def parts(self) -> Iterator[tuple[np.ndarray, Logits]]:
        """Parts of bounded size with like numbers of windows, and which texts they are."""
        # One text is asked most often, and cannot be parted.
        if len(self.counts) == 1:
            yield np.zeros(1, "int64"), self
            return
        order = np.argsort(self.counts, kind="stable")
        sizes = np.cumsum(self.counts[order]) * max(self.start.shape[1], 1)
        begin = 0
        while begin < len(order):
            limit = (sizes[begin - 1] if begin else 0) + MOST_POSITIONS
            stop = max(int(np.searchsorted(sizes, limit, side="right")), begin + 1)
            texts = order[begin:stop]
            counts = self.counts[texts]
            firsts = np.cumsum(counts) - counts
            rows = np.repeat(self.firsts[texts] - firsts, counts) + np.arange(counts.sum())
            start, end = self.start[rows], self.end[rows]
            yield texts, Logits(start, end, self.offsets[rows], self.sizes[rows], firsts, counts)
            begin = stop


@dataclasses.dataclass(frozen=True, eq=False)
class WindowWords:
    """The words of windows, with the mass of a start and of an end at each.

    The mass of a span from word `i` to word `j` of window `w`, as a part of
    all that its text `t` has, is `start[w, i] * end[w, j] * weight[t]`.

    Args:
        start: `(windows, words)` float64; 0 where a window has no such word.
        end: `(windows, words)` float64, likewise.
        column: `(windows, positions)`: the word at each position of the
            logits. Only where `offsets` name one.
        offsets: `(windows, words, 2)` int64; -1 where there is no word.
        text: `(windows,)`: the text of each window.
        lengths: `(windows, words)` int64: how many words a span from that
            word may have.
        ends_within: `(windows, words)`: sum of the end masses that a span
            from that word may have.
        weight: `(texts,)` float64.
        no_answer: `(texts,)` float64: the mass of there being no answer.
    """

    start: np.ndarray
    end: np.ndarray
    column: np.ndarray
    offsets: np.ndarray
    text: np.ndarray
    lengths: np.ndarray
    ends_within: np.ndarray
    weight: np.ndarray
    no_answer: np.ndarray


def logits(
    start: npt.ArrayLike,
    end: npt.ArrayLike,
    offsets: npt.ArrayLike,
    example: npt.ArrayLike,
    sizes: npt.ArrayLike | None,
) -> Logits:
    """Checks what a reader said, and finds which windows are of one text."""
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
                f"`{name}` must have the shape {shape}, as `start` has {start.shape}. "
                f"Received: {array.shape}."
            )
    smaller = example[1:] < example[:-1]
    if smaller.any():
        raise ValueError(
            "`example` must ascend: the windows of an example stand together. Received "
            f"{example[:-1][smaller][0]} before a lower number."
        )
    inside = (sizes >= 0) & (sizes <= 1)
    if not inside.all():
        raise ValueError(
            "`word_sizes` must be between 0 and 1: a word counts as one at most. Received: "
            f"{sizes[~inside][0]}."
        )
    for name, array in (("start", start), ("end", end)):
        # Nothing that is no number is below another.
        good = array < np.inf
        if not good.all():
            window, position = np.argwhere(~good)[0].tolist()
            raise ValueError(
                f"`{name}` holds {array[window, position]} at [{window}, {position}], but logits "
                "must be numbers. Check the model's weights."
            )
    edges = np.append(firsts(example), len(example))
    return Logits(start, end, offsets, sizes, edges[:-1], edges[1:] - edges[:-1])


def firsts(numbers: np.ndarray) -> npt.NDArray[np.int64]:
    """Where each number of an ascending array comes first: `np.unique` would sort it again."""
    new = np.ones(len(numbers), bool)
    new[1:] = numbers[1:] != numbers[:-1]
    return np.flatnonzero(new)


def words(part: Logits, max_answer_words: int, no_answer: bool, temperature: float) -> WindowWords:
    """Sums the masses of the pieces of each word, and all that a text has."""
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
    each = firsts(owner)
    masses = []
    scale = np.zeros(texts)
    for array in (part.start, part.end):
        values = array[rows, positions].astype("float64")
        highest = np.full(texts, -np.inf)
        if len(values):
            highest[owner[each]] = np.maximum.reduceat(values, each)
        # Where every logit is minus infinity, all are alike.
        highest[highest == -np.inf] = 0.0
        values = np.maximum((values - highest[owner]) / temperature, _LOWEST)
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
        lengths = _lengths(sizes, max_answer_words)
    ends_within = band(end, lengths, np.add)
    total = np.add.reduceat((start * ends_within).sum(axis=1), part.firsts) if texts else scale
    empty = np.full(texts, -np.inf)
    none = empty
    if no_answer:
        # A text has no answer where every window says so.
        lowest = part.start[:, 0].astype("float64") + part.end[:, 0]
        none = np.maximum(np.minimum.reduceat(lowest, part.firsts) / temperature, -1e300)
    # Without a word, that there is no answer is all there is.
    scale = np.where(total > 0, scale, -np.inf)
    none = np.where((total > 0) | (none > -np.inf), none, 0.0)
    most = np.maximum(scale, none)
    weight, no_answer_mass = np.exp(scale - most), np.exp(none - most)
    everything = weight * total + no_answer_mass
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
    )


def band(values: np.ndarray, lengths: np.ndarray, combine: np.ufunc) -> np.ndarray:
    """Combines `values[:, i : i + lengths[:, i]]` for each `i`, as many steps as lengths have bits.

    Args:
        values: `(windows, words)`, none below 0.
        lengths: `(windows, words)` int64.
        combine: What two numbers become, 0 and a number being that number.

    Returns:
        `(windows, words)`.
    """
    size = values.shape[1]
    longest = min(int(lengths.max(initial=0)), size)
    lengths = np.minimum(lengths, longest)
    power = resize(values, (len(values), size + longest))
    result = np.zeros_like(values)
    # Where all lengths are the same, as they mostly are, a slice is faster than picking.
    same = bool((lengths == longest).all())
    at = None if same else np.tile(np.arange(size), (len(values), 1))
    done, step = 0, 1
    while step <= longest:
        if at is None:
            if longest & step:
                result = combine(result, power[:, done : done + size])
                done += step
        else:
            taken = lengths & step
            ahead = np.take_along_axis(power, at, axis=1)
            result = np.where(taken, combine(result, ahead), result)
            at += taken
        power[:, :-step] = combine(power[:, :-step], power[:, step:])
        step *= 2
    return result


def _lengths(sizes: np.ndarray, most: int) -> np.ndarray:
    """How many words from each one on count as `most` words together."""
    rows, words = sizes.shape
    # Sums of quarters are exact.
    ends = np.cumsum(sizes, axis=1)
    # Rows one after the other, so far apart that none reaches into the next.
    apart = np.arange(rows)[:, None] * (words + most + 1.0)
    last = np.searchsorted((ends + apart).ravel(), (ends - sizes + most + apart).ravel(), "right")
    lengths: npt.NDArray[np.int64] = last - np.arange(sizes.size)
    return lengths.reshape(sizes.shape)
