"""Predicts arrays without Keras' loop over batches."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import keras
import numpy as np

from keras_qa import execution
from keras_qa.execution.graph import model_inputs
from keras_qa.inputs.buckets import BucketedBatches, bucketed
from keras_qa.tasks.task import Verbose
from keras_qa.text.padding import pad, trim


class Predictor:
    """Predicts arrays by programs, one for each of few shapes.

    Args:
        model: The model. Its weights may change afterwards.
    """

    def __init__(self, model: keras.Model) -> None:
        self.model = model
        self.program = execution.compiled(model)
        # Whether the outputs have the same shape however wide the feed is.
        self.fixed_outputs = all(None not in tensor.shape[1:] for tensor in model.outputs)

    def __call__(
        self, inputs: list[np.ndarray], size: int, verbose: Verbose, length_buckets: bool
    ) -> Any:
        """Predicts.

        Args:
            inputs: Checked arrays in the order of the model's inputs.
            size: Rows a batch.
            verbose: As in `keras.Model.predict`.
            length_buckets: Whether rows of like length come in one batch, trimmed, where the
                outputs are as wide for it.

        Returns:
            Arrays in the structure of the model's outputs, in the order of the rows.
        """
        batches = None
        length_buckets = length_buckets and self.fixed_outputs
        rows = len(inputs[0])
        if length_buckets and rows > size:
            batches = bucketed(self.model, inputs, None, None, size)[0]
        elif length_buckets:
            inputs = [
                trim(array) if item.ignores_padding else array
                for array, item in zip(inputs, model_inputs(self.model), strict=True)
            ]
        if isinstance(batches, BucketedBatches):
            steps, back = len(batches), np.argsort(batches.order)
            parts = (keras.tree.flatten(batches[step]) for step in range(steps))
            outputs = self._run(parts, inputs, size, steps, verbose)
            return _each(lambda output: output[back], outputs)
        starts = range(0, rows, size)
        parts = ([array[start : start + size] for array in inputs] for start in starts)
        return self._run(parts, inputs, size, len(starts), verbose)

    def _run(
        self, batches: Any, feed: list[np.ndarray], size: int, steps: int, verbose: Verbose
    ) -> Any:
        def run(inputs: list[np.ndarray]) -> Any:
            output = self.program([pad(array, size) for array in inputs], folded)
            rows = len(inputs[0])
            return _each(lambda array: array[:rows], output)

        several = steps > 1
        folded = None
        if verbose == "auto":
            verbose = int(several)
        if not several and not verbose:
            return run(next(iter(batches)))
        if several:
            folded = self.program.fold(max(int(np.count_nonzero(array)) for array in feed))
        progress = keras.utils.Progbar(steps, verbose=verbose) if verbose else None
        outputs = []
        at_once = execution.PROGRAMS_AT_ONCE
        with ThreadPoolExecutor(at_once) as pool:
            ran = pool.map(run, batches) if several and at_once > 1 else map(run, batches)
            for step, output in enumerate(ran, start=1):
                outputs.append(output)
                if progress is not None:
                    progress.update(step)
        return _each(lambda *parts: np.concatenate(parts), *outputs)


def _each(function: Callable[..., Any], *outputs: Any) -> Any:
    # Going through a structure takes as long as the smallest models do.
    if isinstance(outputs[0], np.ndarray):
        return function(*outputs)
    return keras.tree.map_structure(function, *outputs)
