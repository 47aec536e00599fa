"""Predictions for arrays, in batches of rows of similar length."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np

from keras_qa._numbers import rows_in_cache
from keras_qa.engine import execution
from keras_qa.engine.batching import RowLengths, grid_width, resize
from keras_qa.engine.graph import (
    LayerState,
    compiles_predictions,
    ends_early,
    folds_choices,
    has_large_products,
    model_inputs,
    output_padding,
    text_position,
)
from keras_qa.preprocessing.preprocessor import Verbose

# Minimum width if compiled loops end with the longest row.
MIN_WIDTH = 32


def predict(
    predict_batch: execution.BatchPredictor,
    state: LayerState,
    inputs: list[np.ndarray],
    batch_size: int,
    verbose: Verbose,
) -> Any:
    """Computes the outputs of a model for checked arrays, in the order of the model's inputs.

    Rows of similar length are grouped and batches trimmed, if this does not change the outputs.
    """
    model = predict_batch.model
    padding = output_padding(model)
    is_fixed = all(None not in tensor.shape[1:] for tensor in model.outputs)
    fill = state.rows_are_independent
    sort = fill and state.ignores_padding and (is_fixed or padding is not None)
    read = text_position(model)

    def run(rows: int, arrays: list[np.ndarray]) -> list[np.ndarray]:
        outputs = [output[:rows] for output in predict_batch(arrays)]
        if not sort or is_fixed or padding is None:
            return outputs
        by = inputs[read].shape[1] - arrays[read].shape[1]
        return [
            _widened(output, tensor.shape, by, padding)
            for output, tensor in zip(outputs, model.outputs, strict=True)
        ]

    count = len(inputs[0])
    size = rows_at_a_time(model, inputs[0].shape[-1], batch_size) if fill else batch_size
    if count <= size:
        outputs = run(count, fitted(model, inputs, sort, fill))
        if verbose not in (0, "auto"):
            keras.utils.Progbar(1, verbose=verbose).update(1)
        return keras.tree.pack_sequence_as(model.output, outputs)

    batches = PredictionBatches(model, inputs, batch_size, sort, fill)
    progress = keras.utils.Progbar(len(batches), verbose=1 if verbose == "auto" else verbose)
    by_batch = []
    for step in range(len(batches)):
        rows, arrays = batches[step]
        by_batch.append(run(len(rows), arrays))
        progress.update(len(by_batch))
    back = np.argsort(batches.order)
    outputs = [np.concatenate(parts)[back] for parts in zip(*by_batch, strict=True)]
    return keras.tree.pack_sequence_as(model.output, outputs)


def _widened(output: np.ndarray, shape: tuple[int | None, ...], by: int, padding: float) -> Any:
    """Pads the output of a trimmed batch to the width of the feed, `by` columns more."""
    if by == 0 or None not in shape[1:]:
        return output
    axis = shape.index(None, 1)
    sizes = list(output.shape)
    sizes[axis] += by
    return resize(output, tuple(sizes), padding)


class PredictionBatches:
    """Batches for prediction: by `sort` of rows of similar length, by `fill` of few sizes."""

    def __init__(
        self,
        model: keras.Model,
        inputs: list[np.ndarray],
        batch_size: int,
        sort: bool = True,
        fill: bool = True,
    ) -> None:
        self.model = model
        self.inputs = inputs
        self.sort = sort
        self.fill = fill
        rows = np.arange(len(inputs[0]))
        if sort:
            lengths = RowLengths(model, inputs)
            main = lengths.of_rows[:, lengths.main]
            self.parts = list(self._parts(np.argsort(main, kind="stable"), main, batch_size))
        else:
            size = rows_at_a_time(model, inputs[0].shape[-1], batch_size) if fill else batch_size
            self.parts = [rows[start : start + size] for start in range(0, len(rows), size)]
        # Batches of an encoder have different numbers of rows, see `rows_at_a_time`.
        self.size = None if has_large_products(model) else len(self.parts[0])
        # If loops end with the longest row, all batches have one shape.
        self.shape: list[tuple[int, ...]] | None = None
        if sort and compiles_predictions(model) and ends_early(model):
            widths = [grid_width(length) for length in lengths.of_rows.max(axis=0).tolist()]
            left = iter(np.minimum(widths, lengths.full).tolist())
            self.shape = [tuple(itertools.islice(left, axes)) for axes in lengths.axes]

    @property
    def order(self) -> np.ndarray:
        """The row numbers of all batches, concatenated."""
        return np.concatenate(self.parts)

    def __len__(self) -> int:
        return len(self.parts)

    def __getitem__(self, index: int) -> tuple[np.ndarray, list[np.ndarray]]:
        """Returns the row numbers of a batch, and its arrays, possibly with more rows of zeros."""
        rows = self.parts[index]
        arrays = [array[rows] for array in self.inputs]
        if self.shape is None:
            return rows, fitted(self.model, arrays, self.sort, self.fill, self.size)
        count = self.size if self.fill and self.size else len(rows)
        return rows, [
            resize(a, (count, *shape)) for a, shape in zip(arrays, self.shape, strict=True)
        ]

    def _parts(
        self, order: np.ndarray, length: np.ndarray, batch_size: int
    ) -> Iterator[np.ndarray]:
        while len(order):
            # Rows are in ascending order, so the last one is the longest of its batch.
            size = rows_at_a_time(self.model, int(length[order[0]]), batch_size)
            size = rows_at_a_time(self.model, int(length[order[:size][-1]]), batch_size)
            yield order[:size]
            order = order[size:]


def rows_at_a_time(model: keras.Model, width: int, batch_size: int) -> int:
    """Returns the number of rows in a prediction batch: few long rows for an encoder on a CPU."""
    if not has_large_products(model) or execution.has_accelerator():
        return batch_size
    return min(batch_size, rows_in_cache(width))


def fitted(
    model: keras.Model,
    inputs: list[np.ndarray],
    sort: bool = True,
    fill: bool = True,
    size: int | None = None,
) -> list[np.ndarray]:
    """Trims a batch to its longest row; for a compiled model, to a size of the grid.

    `sort` allows fewer or more columns of zeros, and `fill` more rows of zeros: up to `size`, or to
    the next power of two.
    """
    compiled = compiles_predictions(model)
    rows = len(inputs[0])
    if compiled and fill:
        rows = size or 2 ** (rows - 1).bit_length()
    if not sort:
        return [resize(array, (rows, *array.shape[1:])) for array in inputs]
    shapes = [[_used_length(array, axis) for axis in range(1, array.ndim)] for array in inputs]
    large = has_large_products(model)
    if large:
        # All inputs of an encoder have the same width.
        longest = max(shape[-1] for shape in shapes)
        shapes = [[*shape[:-1], longest] for shape in shapes]
    # Models compute each choice as a row, so the number of choices is kept.
    choices = [array.shape[1:-1] if folds_choices(model) else () for array in inputs]
    if compiled:
        least = MIN_WIDTH if large or ends_early(model) else 1
        # Reading padding costs an encoder most, so its grid is finer.
        next_width = multiple_of_32 if large else grid_width
        shapes = [[next_width(max(least, width)) for width in shape] for shape in shapes]
        limits = [item.max_length for item in model_inputs(model)]
        shapes = [
            [min(width, limit or width) for width in shape]
            for shape, limit in zip(shapes, limits, strict=False)
        ]
    shapes = [[*kept, *shape[len(kept) :]] for kept, shape in zip(choices, shapes, strict=True)]
    return [resize(a, (rows, *shape)) for a, shape in zip(inputs, shapes, strict=True)]


def _used_length(ids: np.ndarray, axis: int) -> int:
    """Length of an axis without padding at its end, over all rows, at least 1."""
    others = tuple(other for other in range(ids.ndim) if other != axis)
    used = np.logical_or.reduce(ids, axis=others)[::-1]
    # `argmax` gives the first true entry, or 0 if all are false.
    trailing = int(used.argmax())
    return len(used) - trailing if used[trailing] else 1


def multiple_of_32(length: int) -> int:
    """The next multiple of 32."""
    return -(-length // 32) * 32
