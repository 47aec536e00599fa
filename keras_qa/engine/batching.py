"""Batches of rows of similar length, trimmed to their longest row.

Padding costs a layer as much as words. On a compiling backend each width costs a compilation, so
widths are taken from a grid, and training uses few of them. If the model's loops end with the
longest row, padding is cheap, and all batches have one width. Batches depend only on the lengths of
the rows, the batch size and the model.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import keras
import numpy as np

from keras_qa._numbers import used_columns
from keras_qa.engine.arrays import Arrays
from keras_qa.engine.graph import (
    classifies_positions,
    ends_early,
    folds_choices,
    has_large_products,
    ignores_padding,
    rows_are_independent,
    text_position,
)

# An additional width in training costs a compilation. It must save this share of all positions, and
# this many in each epoch.
MIN_SAVING = 0.1
MIN_POSITIONS = 20_000
# Takes rows in random order and a generator, and returns some of them.
Draw: TypeAlias = Callable[[np.ndarray, np.random.Generator], np.ndarray]


def grid_width(length: int) -> int:
    """Returns the next width of a grid with two widths for each doubling: 8, 12, 16, 24, 32…"""
    power: int = 2 ** max(3, (length - 1).bit_length())
    return power * 3 // 4 if power > 8 and length <= power * 3 // 4 else power


def training_widths(lengths: np.ndarray) -> list[int]:
    """Chooses widths of the grid for rows, each of which saves enough for its compilation."""
    counts = np.bincount([grid_width(int(length)) for length in lengths])
    chosen = [len(counts) - 1]

    def positions(widths: list[int]) -> int:
        ends = np.array(sorted(widths))
        return int(counts @ ends[np.searchsorted(ends, np.arange(len(counts)))])

    while True:
        others = [int(width) for width in np.flatnonzero(counts) if width not in chosen]
        best = min(others, key=lambda width: positions([*chosen, width]), default=None)
        before = positions(chosen)
        least = max(MIN_SAVING * before, MIN_POSITIONS)
        if best is None or before - positions([*chosen, best]) < least:
            return sorted(chosen)
        chosen.append(best)


def axis_lengths(inputs: list[np.ndarray]) -> np.ndarray:
    """Lengths of each row along each axis of all inputs, `(rows, axes)`, without padding.

    Inputs are `(rows, time)` or `(rows, sentences, words)`. Lengths are at least 1.
    """
    columns = []
    for array in inputs:
        columns.append(used_columns(np.any(array, axis=tuple(range(2, array.ndim)))))
        if array.ndim == 3:
            columns.append(used_columns(array))
    return np.stack(columns, axis=1)


def count_axes(inputs: list[np.ndarray]) -> tuple[int, ...]:
    """Number of columns that each input has in `axis_lengths`."""
    return tuple({1: 0, 3: 2}.get(array.ndim, 1) for array in inputs)


class RowLengths:
    """The lengths of the rows of a feed, along each axis that may be trimmed.

    Attributes:
        of_rows: `(rows, axes)` integers.
        full: `(axes,)`: the width of the arrays.
        main: The axis with the most padding.
    """

    def __init__(self, model: keras.Model, inputs: list[np.ndarray]) -> None:
        self.axes = count_axes(inputs)
        self.of_rows = axis_lengths(inputs)
        large = has_large_products(model)
        # Axes of one input. With choices, these are choices and positions.
        each = 2 if folds_choices(model) else 1
        if large:
            # All inputs of an encoder have the same shape.
            shapes = self.of_rows.reshape(len(self.of_rows), -1, each)
            self.of_rows = np.tile(shapes.max(axis=1), shapes.shape[1])
        self.full = _full_widths(inputs)
        longest = self.of_rows.max(axis=0)
        starts = np.repeat(np.cumsum([0, *self.axes[:-1]]), self.axes)
        areas = [math.prod(longest[starts == start]) for start in starts]
        self.main = int(np.argmax((1 - self.of_rows / longest).sum(axis=0) * areas))
        self.tied = large & (np.arange(len(longest)) % each == self.main % each)
        self.tied[self.main] = True


def _full_widths(inputs: list[np.ndarray]) -> np.ndarray:
    shapes = [array.shape[1 : 1 + n] for array, n in zip(inputs, count_axes(inputs), strict=True)]
    return np.array(list(itertools.chain(*shapes)), int)


def _cut(array: np.ndarray, rows: np.ndarray, widths: Iterator[Any], axes: int) -> np.ndarray:
    return array[(slice(None), *(slice(next(widths)) for _ in range(axes)))][rows]


def resize(array: np.ndarray, shape: tuple[int, ...], padding: float = 0) -> np.ndarray:
    """Cuts an array or pads it at the end of each axis."""
    if array.shape == shape:
        return array
    # `np.pad` takes longer than a step of a small model.
    resized = np.full(shape, padding, array.dtype)
    common = tuple(slice(min(sizes)) for sizes in zip(array.shape, shape, strict=True))
    resized[common] = array[common]
    return resized


class SortedBatches(keras.utils.PyDataset):
    """Batches of rows of similar length for training or evaluation, in a seeded order.

    `others` are labels and weights, a tuple of structures of arrays. The order of rows and batches
    depends only on the `seed` and the number of the `epoch`, so that resumed training has the same
    batches as uninterrupted training; without a seed, rows are sorted by length. With `steps`, an
    epoch has so many batches, and continues where the last one ended. `draw` chooses rows of an
    epoch from all rows in random order. Call `arrange` after a change of it.
    """

    def __init__(
        self,
        inputs: list[np.ndarray],
        others: tuple[Arrays, ...],
        model: keras.Model,
        batch_size: int,
        seed: int | None = None,
        steps: int | None = None,
    ) -> None:
        super().__init__()
        self.inputs = inputs
        self.others = others
        self.structure = model.input
        self.batch_size = batch_size
        self.seed = seed
        self.steps = steps
        self.epoch = 0
        self.draw: Draw | None = None
        self.axes = count_axes(inputs)
        self.compiled = bool(model.jit_compile)
        self.lengths: RowLengths | None = None
        self.cuts_labels = classifies_positions(model)
        self.text = text_position(model)
        if (
            any(self.axes)
            and ignores_padding(model)
            # If rows of a batch interact, do not reorder them. Training shuffles them anyway.
            and (seed is not None or rows_are_independent(model))
        ):
            self.lengths = RowLengths(model, inputs)
            longest = map(grid_width, self.lengths.of_rows.max(axis=0).tolist())
            self.widest = np.minimum(list(longest), self.lengths.full)
            self.ends = np.array([], int)
            if self.compiled and not ends_early(model):
                main = self.lengths.of_rows[:, self.lengths.main]
                self.ends = np.array(training_widths(main)[:-1], int)
        self.arrange()

    @property
    def order(self) -> np.ndarray:
        """The row numbers of all batches, concatenated."""
        return np.concatenate([rows for rows, _ in self.batches])

    def __len__(self) -> int:
        return len(self.batches)

    def __getitem__(self, index: int) -> tuple[Any, ...]:
        rows, widths = self.batches[index]
        left = iter(widths)
        inputs = [_cut(a, rows, left, n) for a, n in zip(self.inputs, self.axes, strict=True)]
        parts = keras.tree.map_structure(lambda array: array[rows], self.others)
        if self.cuts_labels:
            width = inputs[self.text].shape[1]
            parts = keras.tree.map_structure(lambda a: a[:, :width] if a.ndim > 1 else a, parts)
        packed = keras.tree.pack_sequence_as(self.structure, inputs)
        # tf.data converts a list to one tensor, but keeps a tuple.
        return tuple(tuple(part) if isinstance(part, list) else part for part in (packed, *parts))

    def epoch_callback(self) -> keras.callbacks.Callback:
        """Returns a callback that arranges the batches of each epoch before it is read."""

        def arrange(epoch: int, logs: object) -> None:
            self.epoch = epoch
            self.arrange()

        return keras.callbacks.LambdaCallback(on_epoch_begin=arrange)

    def arrange(self) -> None:
        """Puts the rows of the next epoch into batches."""
        if self.steps is None:
            self.batches = self._batches(self.epoch)
            return
        # An epoch is a part of an endless sequence of passes over the rows.
        each = math.ceil(len(self.inputs[0]) / self.batch_size)
        number, first = divmod(self.epoch * self.steps, each)
        passes = map(self._batches, itertools.count(number))
        endless = itertools.chain.from_iterable(passes)
        self.batches = list(itertools.islice(endless, first, first + self.steps))

    def _batches(self, number: int) -> list[tuple[np.ndarray, np.ndarray]]:
        """Returns the batches of one pass over the rows."""
        random = None if self.seed is None else np.random.default_rng((self.seed, number))
        rows, size = np.arange(len(self.inputs[0])), self.batch_size
        if random is not None:
            rows = random.permutation(rows)
            if self.draw is not None:
                rows = self.draw(rows, random)
        if self.lengths is not None:
            length = self.lengths.of_rows[rows, self.lengths.main]
            if random is not None:
                # Only sort by width of the grid, so that rows of one width stay shuffled.
                grid = np.array([grid_width(n) for n in range(int(length.max()) + 1)])
                length = grid[length]
            rows = rows[np.argsort(length, kind="stable")]
        parts = [rows[start : start + size] for start in range(0, len(rows), size)]
        batches = [(part, self._widths(part)) for part in parts]
        if random is not None:
            random.shuffle(batches)
        return batches

    def _widths(self, rows: np.ndarray) -> np.ndarray:
        lengths = self.lengths
        if lengths is None:
            return _full_widths(self.inputs)
        longest = lengths.of_rows[rows].max(axis=0)
        if not self.compiled:
            return longest
        # Only one axis has several widths. Several axes would have too many combinations.
        main = lengths.main
        widths = self.widest.copy()
        widths[lengths.tied] = min([*self.ends[self.ends >= longest[main]], widths[main]])
        return widths
