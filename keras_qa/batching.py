"""Length buckets: rows of like length together, each batch as narrow as its longest row.

Reading padding costs a layer as much as reading words. Rows are put into a few buckets by the
lengths of all their inputs, and all batches of a bucket have one shape, so that a program that was
compiled for a shape is used again. Stories have two lengths: sentences, and words in the longest.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

# Each shape costs one compilation under XLA.
MOST_BUCKETS = 8
# A further bucket must save this share of all steps, or it is not worth its compilation.
LEAST_SAVING = 0.02


@dataclasses.dataclass(frozen=True)
class Bucket:
    """Rows of like length, and the width that each axis of each of their inputs is cut to."""

    rows: np.ndarray
    widths: tuple[int, ...]


def lengths(ids: np.ndarray) -> np.ndarray:
    """Length of each row up to its last id that is no padding, at least 1.

    Args:
        ids: `(rows, time)` or `(rows, time, ...)`, padded with zeros.

    Returns:
        `(rows,)` integers.

    Examples:
        >>> import numpy as np
        >>> from keras_qa.batching import lengths
        >>> lengths(np.array([[5, 0, 6, 0], [0, 0, 0, 0]])).tolist()
        [3, 1]
    """
    present = np.any(ids != 0, axis=tuple(range(2, ids.ndim)))
    trailing = np.argmax(present[:, ::-1], axis=1)
    return np.where(present.any(axis=1), ids.shape[1] - trailing, 1)


def sizes(inputs: Sequence[np.ndarray]) -> np.ndarray:
    """Lengths of each row along each axis of all inputs, at least 1.

    Args:
        inputs: Arrays of ids, `(rows, time)` or `(rows, sentences, words)`, padded with zeros.

    Returns:
        `(rows, axes)` integers, the axes of one input after those of another.

    Examples:
        >>> import numpy as np
        >>> from keras_qa.batching import sizes
        >>> sizes([np.array([[[5, 6, 0], [0, 0, 0]]]), np.array([[7, 0]])]).tolist()
        [[1, 2, 1]]
    """
    columns = []
    for array in inputs:
        columns.append(lengths(array))
        if array.ndim == 3:
            columns.append(lengths(np.asarray(array.any(axis=1))))
    return np.stack(columns, axis=1)


def groups(inputs: Sequence[np.ndarray]) -> tuple[int, ...]:
    """How many of the columns of `sizes` belong to each input."""
    return tuple({1: 0, 3: 2}.get(array.ndim, 1) for array in inputs)


def rounded(width: int) -> int:
    """The next width of a ladder that has four to eight steps to each doubling.

    Other data of like length then has the same widths, and needs no program of its own.

    Examples:
        >>> from keras_qa.batching import rounded
        >>> [rounded(width) for width in (1, 5, 33, 100, 1000)]
        [4, 8, 36, 104, 1024]
    """
    step = max(4, 2 ** (max(width - 1, 1).bit_length() - 4))
    return -(-width // step) * step


def fitted(ids: np.ndarray) -> np.ndarray:
    """Cuts ids to their longest row, and fills them up to a width of the ladder."""
    return _resized(ids, (len(ids), *(rounded(_used(ids, axis)) for axis in range(1, ids.ndim))))


def filled(array: np.ndarray, most: int | None = None) -> np.ndarray:
    """Fills up rows to a power of two, or to `most` rows, so that few batch sizes are compiled."""
    rows = 2 ** (len(array) - 1).bit_length()
    if most is not None:
        rows = min(rows, most)
    return _resized(array, (max(rows, len(array)), *array.shape[1:]))


def _used(ids: np.ndarray, axis: int) -> int:
    """How much of an axis is not padding in every row, at least 1."""
    others = tuple(other for other in range(ids.ndim) if other != axis)
    used = np.logical_or.reduce(ids, axis=others)[::-1]
    # The first place of the greatest, which is the first of all where nothing is used.
    place = int(used.argmax())
    return len(used) - place if used[place] else 1


def _resized(array: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Cuts and fills up with zeros. `np.pad` takes longer than the smallest models do."""
    if array.shape == shape:
        return array
    resized = np.zeros(shape, array.dtype)
    common = tuple(slice(min(sizes)) for sizes in zip(array.shape, shape, strict=True))
    resized[common] = array[common]
    return resized


def plan(sizes: np.ndarray, batch_size: int, groups: tuple[int, ...] | None = None) -> list[Bucket]:
    """Puts rows into at most eight buckets, such that few steps are spent on padding.

    Starts with all rows in one bucket, and splits again and again where that saves most steps:
    the rows of a bucket, sorted by the length of one input, are cut at a multiple of `batch_size`,
    so that no bucket but one has a batch that is not full.

    Args:
        sizes: Lengths, `(rows, axes)`.
        batch_size: Rows a batch.
        groups: How many of the axes belong to each input. `None` for one each.

    Returns:
        The buckets. Every row is in one of them.

    Examples:
        >>> import numpy as np
        >>> from keras_qa.batching import plan
        >>> [bucket.widths for bucket in plan(np.array([[40], [3], [39], [4]]), batch_size=2)]
        [(4,), (40,)]
    """
    groups = groups or (1,) * sizes.shape[1]
    buckets = [np.arange(len(sizes))]
    splits = [_best_split(sizes, batch_size, groups)]
    total = _cost(sizes, groups)
    while len(buckets) < MOST_BUCKETS:
        best = max(range(len(splits)), key=lambda place: splits[place][0])
        saving, left, right = splits.pop(best)
        if saving < LEAST_SAVING * total:
            break
        rows = buckets.pop(best)
        parts = [rows[left], rows[right]]
        buckets[best:best] = parts
        splits[best:best] = [_best_split(sizes[part], batch_size, groups) for part in parts]
    return [
        Bucket(rows, tuple(rounded(int(width)) for width in sizes[rows].max(axis=0)))
        for rows in buckets
    ]


def steps_a_row(widths: np.ndarray, groups: tuple[int, ...]) -> np.ndarray:
    """How many ids a row of these widths holds: `(rows, axes)` in, `(rows,)` out."""
    starts = np.cumsum([0, *groups[:-1]])
    return np.multiply.reduceat(widths, starts, axis=1).sum(axis=1)


def _cost(sizes: np.ndarray, groups: tuple[int, ...]) -> float:
    return float(len(sizes) * steps_a_row(sizes.max(axis=0, keepdims=True), groups)[0])


def _best_split(
    sizes: np.ndarray, batch_size: int, groups: tuple[int, ...]
) -> tuple[float, np.ndarray, np.ndarray]:
    best: tuple[float, np.ndarray, np.ndarray] = (0.0, np.array([], int), np.array([], int))
    cuts = np.arange(batch_size, len(sizes), batch_size)
    if len(cuts) == 0:
        return best
    for axis in range(sizes.shape[1]):
        order = np.argsort(sizes[:, axis], kind="stable")
        ordered = sizes[order]
        before = steps_a_row(np.maximum.accumulate(ordered)[cuts - 1], groups)
        after = steps_a_row(np.maximum.accumulate(ordered[::-1])[::-1][cuts], groups)
        costs = cuts * before + (len(sizes) - cuts) * after
        place = int(np.argmin(costs))
        saving = _cost(sizes, groups) - float(costs[place])
        if saving > best[0]:
            best = (saving, order[: cuts[place]], order[cuts[place] :])
    return best


class BucketedBatches(keras.utils.PyDataset):
    """Batches of rows of like length, trimmed, in a seeded order.

    Args:
        inputs: Arrays of ids, `(rows, time, ...)`, padded with zeros on the right.
        others: Labels and weights, a tuple of structures of arrays.
        buckets: What `plan` gives for the lengths of the inputs.
        batch_size: Rows a batch.
        structure: Structure of a model's inputs, to put the arrays into.
        seed: Seed of a new order of rows and batches each epoch. `None` keeps the order of the
            buckets.

    Attributes:
        epoch: Number of the epoch whose order is next. The order depends on it and on the seed
            alone, so that training can go on where it was broken off.
        order: Position of each row that the batches give, one after the other.
    """

    def __init__(
        self,
        inputs: list[np.ndarray],
        others: tuple[Any, ...],
        buckets: list[Bucket],
        batch_size: int,
        structure: Any,
        seed: int | None = None,
    ) -> None:
        super().__init__()
        self.inputs = inputs
        self.others = others
        self.buckets = buckets
        self.batch_size = batch_size
        self.structure = structure
        self.seed = seed
        self.epoch = 0
        self.share = 1.0
        self.weights: np.ndarray | None = None
        self._arrange()

    @property
    def order(self) -> np.ndarray:
        return np.concatenate([rows for rows, _ in self.batches])

    def __len__(self) -> int:
        return len(self.batches)

    def __getitem__(self, index: int) -> tuple[Any, ...]:
        rows, widths = self.batches[index]
        left = iter(widths)
        inputs = []
        for array, axes in zip(self.inputs, groups(self.inputs), strict=True):
            cut = tuple(slice(next(left)) for _ in range(axes))
            inputs.append(array[(slice(None), *cut)][rows])
        packed = keras.tree.pack_sequence_as(self.structure, inputs)
        parts = keras.tree.map_structure(lambda array: array[rows], self.others)
        # tf.data keeps tuples, and makes one tensor of a list.
        return tuple(tuple(part) if isinstance(part, list) else part for part in (packed, *parts))

    def choose(self, share: float, weights: np.ndarray) -> None:
        """Makes an epoch give a share of the batches, always as many, with the rows drawn anew.

        Rows are drawn one after the other, without putting any back, each with a chance that is
        proportional to its weight (Efraimidis & Spirakis 2006, doi:10.1016/j.ipl.2005.11.003).

        Args:
            share: The share, above 0 and at most 1.
            weights: Weight of each row, `(rows,)`, read again at each epoch.
        """
        self.share, self.weights = share, weights
        self._arrange()

    def on_epoch_begin(self) -> None:
        if self.seed is not None:
            self._arrange()

    def _arrange(self) -> None:
        random = None if self.seed is None else np.random.default_rng((self.seed, self.epoch))
        parts = [bucket.rows for bucket in self.buckets]
        if random is not None:
            parts = [random.permutation(rows) for rows in self._drawn(parts, random)]
        self.batches = [(rows, self.buckets[place].widths) for place, rows in self._cut(parts)]
        if random is not None:
            random.shuffle(self.batches)

    def _cut(self, parts: list[np.ndarray]) -> list[tuple[int, np.ndarray]]:
        """The rows of each bucket as batches, with the bucket's place."""
        size = self.batch_size
        return [
            (place, rows[start : start + size])
            for place, rows in enumerate(parts)
            for start in range(0, len(rows), size)
        ]

    def _drawn(self, parts: list[np.ndarray], random: np.random.Generator) -> list[np.ndarray]:
        """The rows of each bucket that an epoch gives: whole batches of those drawn first."""
        if self.weights is None or self.share == 1:
            return parts
        turns = random.exponential(size=len(self.weights)) / self.weights
        batches = self._cut([rows[np.argsort(turns[rows])] for rows in parts])
        batches.sort(key=lambda batch: turns[batch[1]].mean())
        taken: list[list[np.ndarray]] = [[np.array([], int)] for _ in parts]
        for place, rows in batches[: math.ceil(self.share * len(batches))]:
            taken[place].append(rows)
        return [np.concatenate(rows) for rows in taken]


class TellEpoch(keras.callbacks.Callback):
    """Tells batches which epoch begins.

    Args:
        batches: `BucketedBatches`.
    """

    def __init__(self, batches: BucketedBatches) -> None:
        super().__init__()
        self.batches = batches

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self.batches.epoch = epoch
