"""Length buckets: rows of like length together, each batch as narrow as its longest row.

Reading padding costs a layer as much as reading words. Rows are put into a few buckets by the
lengths of all their inputs, and all batches of a bucket have one shape, so that a program that was
compiled for a shape is used again. Stories have two lengths: sentences, and words in the longest.
"""

from __future__ import annotations

import dataclasses
import math
import time
from typing import Any

import keras
import numpy as np

from keras_qa import execution
from keras_qa.execution.filling import ANY, LOST_BY_SHARING, STEPS_OF_A_COMPILE, Costs, Shapes
from keras_qa.execution.graph import model_inputs
from keras_qa.inputs.feeds import Arrays, DataSource, Feed, Labels, Weights
from keras_qa.inputs.sources import Batch, is_source
from keras_qa.text.padding import groups, rounded, sizes

# Each shape costs one compilation under XLA.
MOST_BUCKETS = 8
# A further bucket must save this share of all steps, or it is not worth its compilation.
LEAST_SAVING = 0.02
# Buckets that share a width hold at least a sixteenth of its steps: the memory for a batch is as
# wide, however early a model ends.
MOST_TIMES_AS_WIDE = 16
# Buckets are for feeds in which they leave out at least a tenth of the steps.
MOST_STEPS_KEPT = 0.9


@dataclasses.dataclass(frozen=True)
class Bucket:
    """Rows of like length, and the width that each axis of each of their inputs is cut to."""

    rows: np.ndarray
    widths: tuple[int, ...]


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
        >>> from keras_qa.inputs.buckets import plan
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


def shared(
    buckets: list[Bucket], groups: tuple[int, ...], most_lost: float = math.inf
) -> list[Bucket]:
    """Buckets of the same rows, as wide as the widest, but for those that it is far too wide for.

    Args:
        buckets: What `plan` gives.
        groups: How many of the axes belong to each input.
        most_lost: How many ids may be read in vain for one width less, of those that are read.
    """
    areas = steps_a_row(np.array([bucket.widths for bucket in buckets]), groups)
    rows = np.array([len(bucket.rows) for bucket in buckets])
    first, *others = np.argsort(-areas, kind="stable")
    together = [[first]]
    most_lost *= rows @ areas
    lost = 0
    for place in others:
        widest = areas[together[-1][0]]
        lost += rows[place] * (widest - areas[place])
        if lost > most_lost or areas[place] * MOST_TIMES_AS_WIDE < widest:
            together.append([])
            lost = 0
        together[-1].append(place)
    widths = {
        place: tuple(map(max, zip(*(buckets[other].widths for other in places), strict=True)))
        for places in together
        for place in places
    }
    return [Bucket(bucket.rows, widths[place]) for place, bucket in enumerate(buckets)]


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
        filled: Whether a batch that is not full is filled up with rows whose first id is -1.

    Attributes:
        epoch: Number of the epoch whose order is next. The order depends on it and on the seed
            alone, so that training can go on where it was broken off.
        order: Position of each row that the batches give, one after the other.
    """

    def __init__(
        self,
        inputs: list[np.ndarray],
        others: tuple[Arrays, ...],
        buckets: list[Bucket],
        batch_size: int,
        structure: object,
        seed: int | None = None,
        filled: bool = False,
    ) -> None:
        super().__init__()
        self.filled = filled
        self.inputs = inputs
        self.others = others
        self.buckets = buckets
        self.batch_size = batch_size
        self.structure = structure
        self.seed = seed
        self.epoch = 0
        # Buckets that are as wide as they need be, where those here share a width.
        self.own: list[Bucket] | None = None
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
        parts = keras.tree.map_structure(lambda array: array[rows], self.others)
        if self.filled:
            more = self.batch_size - len(rows)
            inputs, parts = keras.tree.map_structure(lambda a: _filled(a, more), (inputs, parts))
            inputs[0].reshape(self.batch_size, -1)[len(rows) :, 0] = -1
        packed = keras.tree.pack_sequence_as(self.structure, inputs)
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


def _filled(array: np.ndarray, more: int) -> np.ndarray:
    return np.concatenate([array, np.zeros((more, *array.shape[1:]), array.dtype)])


class TellEpoch(keras.callbacks.Callback):
    """Tells batches which epoch begins, and gives them widths of their own once that pays.

    Args:
        batches: `BucketedBatches`.
        costs: What the trainings of the model have cost.
        epochs: The epoch that the training ends before.
    """

    def __init__(self, batches: BucketedBatches, costs: Costs, epochs: int) -> None:
        super().__init__()
        self.batches = batches
        self.costs = costs
        self.epochs = epochs
        self.times: list[float] = []

    def on_train_begin(self, logs: dict[str, float] | None = None) -> None:
        self.costs.tracing = 0.0

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        self.batches.epoch = epoch
        if self.batches.own is None or not self.times:
            self.times = [time.perf_counter()]
            return
        steps = np.diff(self.times)
        self.times = [time.perf_counter()]
        self.costs.compiled(float(steps[0] - np.median(steps)))
        lost = LOST_BY_SHARING * float(steps.sum() - steps[0])
        self.costs.lost += lost
        widths = len({bucket.widths for bucket in self.batches.own})
        if self.costs.are_worth(widths, lost * (self.epochs - epoch)):
            self.batches.buckets, self.batches.own = self.batches.own, None
            execution.part_widths(self.model)

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        self.times.append(time.perf_counter())

    def on_train_end(self, logs: dict[str, float] | None = None) -> None:
        if self.batches.own is not None and len(self.times) > 1:
            self.costs.lost += LOST_BY_SHARING * (self.times[-1] - self.times[1])


def bucketed(
    model: keras.Model,
    x: Feed | DataSource,
    y: Labels | None,
    sample_weight: Weights | None,
    batch_size: int | None,
    shuffle: bool = False,
    sort: bool = True,
    shapes: Shapes = ANY,
) -> Batch:
    """Puts a checked feed into length buckets, where that saves enough.

    Args:
        model: The model that is fed.
        x: Arrays in the structure of its inputs, or a data source, which stays as it is.
        y: Labels, or `None`.
        sample_weight: Weights, or `None`.
        batch_size: Rows a batch. `None` for 32.
        shuffle: Whether rows and batches come in a new order each epoch.
        sort: Whether rows of like length come together.
        shapes: What batches are to look like.

    Returns:
        `BucketedBatches` and twice `None`; or what was given.
    """
    if is_source(x):
        return x, y, sample_weight
    inputs = keras.tree.flatten(x)
    others: list[Any] = [part for part in (y, sample_weight) if part is not None]
    size = batch_size or 32
    buckets = _buckets(model, inputs, size) if sort else None
    own = None
    if buckets is None:
        # Labels of an output that is not trained are no array.
        is_left = not (shuffle or shapes.filled)
        if is_left or any(part is None for part in keras.tree.flatten(others)):
            return x, y, sample_weight
        # As wide as the feed, for the sake of an order that can be taken up again.
        parts = zip(inputs, groups(inputs), strict=True)
        full = [length for array, count in parts for length in array.shape[1 : 1 + count]]
        buckets = [Bucket(np.arange(len(inputs[0])), tuple(full))]
    elif shapes.shared:
        own, buckets = buckets, shared(buckets, groups(inputs))
    elif shapes.steps:
        buckets = shared(buckets, groups(inputs), STEPS_OF_A_COMPILE / shapes.steps)
    seed = int(np.random.randint(2**31)) if shuffle else None
    batches = BucketedBatches(
        inputs, tuple(others), buckets, size, model.input, seed, shapes.filled
    )
    batches.own = own
    return batches, None, None


def _buckets(model: keras.Model, inputs: list[np.ndarray], batch_size: int) -> list[Bucket] | None:
    """Length buckets, or `None` where they save too little."""
    if not all(item.ignores_padding for item in model_inputs(model)):
        return None
    axes = groups(inputs)
    buckets = plan(sizes(inputs), batch_size, axes)
    full = [length for array in inputs for length in array.shape[1:]]
    widths = np.minimum([bucket.widths for bucket in buckets], full)
    rows = np.array([len(bucket.rows) for bucket in buckets])
    kept = rows @ steps_a_row(widths, axes)
    return buckets if kept <= MOST_STEPS_KEPT * sum(map(np.size, inputs)) else None
