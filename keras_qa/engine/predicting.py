"""Prediction for arrays, in batches of rows of similar length."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from keras_qa.engine import execution
from keras_qa.engine.batching import PredictionBatches, fitted, rows_at_a_time
from keras_qa.engine.graph import LayerState, output_padding, text_position
from keras_qa.preprocessing.preprocessor import Verbose


def predict(
    predict_batch: execution.BatchPredictor,
    state: LayerState,
    inputs: list[np.ndarray],
    batch_size: int,
    verbose: Verbose,
) -> Any:
    """Computes the outputs of a model for arrays.

    Rows of similar length are grouped and batches trimmed, if this does not change the outputs.

    Args:
        predict_batch: Computes the outputs of a batch. If outputs are as wide as the input `text`,
            or the first input, `output_padding` of its model is their value at padding.
        state: The state of the model's layers.
        inputs: Checked arrays in the order of the model's inputs.
        batch_size: Maximum number of rows in a batch.
        verbose: As in `keras.Model.predict`.

    Returns:
        Arrays in the structure of the model's outputs, in the order of the rows.
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
    steps = len(batches)
    verbose = 1 if verbose == "auto" else verbose
    progress = keras.utils.Progbar(steps, verbose=verbose) if verbose else None

    def call(step: int) -> list[np.ndarray]:
        rows, arrays = batches[step]
        return run(len(rows), arrays)

    found = []
    for outputs in execution.map_steps(model, call, range(steps)):
        found.append(outputs)
        if progress is not None:
            progress.update(len(found))
    back = np.argsort(batches.order)
    outputs = [np.concatenate(parts)[back] for parts in zip(*found, strict=True)]
    return keras.tree.pack_sequence_as(model.output, outputs)


def _widened(output: np.ndarray, shape: tuple[int | None, ...], by: int, padding: float) -> Any:
    """Pads the output of a trimmed batch to the width of the feed, `by` columns more."""
    if by == 0 or None not in shape[1:]:
        return output
    axis = shape.index(None, 1)
    sizes = [size + by if place == axis else size for place, size in enumerate(output.shape)]
    widened = np.full(sizes, padding, output.dtype)
    common = tuple(map(slice, np.minimum(output.shape, sizes)))
    widened[common] = output[common]
    return widened
