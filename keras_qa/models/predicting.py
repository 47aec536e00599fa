"""Predicts arrays without Keras' loop over batches."""

from __future__ import annotations

import collections
import math
import operator
from collections.abc import Iterable, Iterator
from typing import Any

import keras
import numpy as np

from keras_qa import execution
from keras_qa.execution.filling import Shapes
from keras_qa.execution.graph import ends_early, has_large_products, model_inputs
from keras_qa.execution.signature import PREDICTING, Signature
from keras_qa.inputs.buckets import BucketedBatches, bucketed
from keras_qa.models.reading import ProgramWidths, rows_at_a_time
from keras_qa.tasks.task import Verbose
from keras_qa.text.padding import pad, resized, rounded, trim, used

# Texts up to so many words have one program.
LEAST_WIDTH = 32


class Predictor:
    """Predicts arrays, a batch by an `execution.BatchPredictor`.

    Args:
        model: The model. The values of its weights may change afterwards.

    Attributes:
        is_ours: Whether all of the model is known. Otherwise Keras is to predict.
    """

    def __init__(self, model: keras.Model) -> None:
        self.model = model
        self.signature = Signature(model)
        self.is_ours = self.signature.is_known(PREDICTING)
        large = has_large_products(model)
        self.in_small_steps = large and not execution.has_accelerator()
        # The widths of what is compiled for each.
        self.program_widths = ProgramWidths() if large and execution.COMPILES_PRODUCTS else None
        if self.is_ours:
            self.batch = execution.BatchPredictor(model, self.signature)
        # Whether the outputs have the same shape however wide the feed is.
        self.fixed_outputs = all(None not in tensor.shape[1:] for tensor in model.outputs)
        self.shapes = Shapes(shared=execution.COMPILES and ends_early(model))
        # Of few rows, the widths that were predicted before, the narrowest first.
        self.widths: dict[int, list[tuple[int, ...]]] = {}

    def holds(self) -> bool:
        """Whether the model is what it was, but for the values of weights."""
        return self.signature.holds()

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
        if self.in_small_steps:
            size = min(size, rows_at_a_time(inputs[0].shape[1]))
        length_buckets = length_buckets and self.fixed_outputs
        rows = len(inputs[0])
        if length_buckets and rows > size:
            batches = bucketed(self.model, inputs, None, None, size, shapes=self.shapes)[0]
        elif length_buckets and self.shapes.shared:
            inputs = self._as_wide_as_before(inputs)
        elif length_buckets:
            inputs = [
                trim(array) if item.ignores_padding else array
                for array, item in zip(inputs, model_inputs(self.model), strict=True)
            ]
        if isinstance(batches, BucketedBatches):
            steps, back = len(batches), np.argsort(batches.order)
            parts = (keras.tree.flatten(batches[step]) for step in range(steps))
            outputs = [array[back] for array in self._run(parts, inputs, size, steps, verbose)]
        else:
            starts = range(0, rows, size)
            parts = ([array[start : start + size] for array in inputs] for start in starts)
            outputs = self._run(parts, inputs, size, len(starts), verbose)
        return keras.tree.pack_sequence_as(self.model.output, outputs)

    def reading_batches(
        self, sizes: np.ndarray, size: int, most: int
    ) -> Iterator[tuple[np.ndarray, list[int]]]:
        """Puts rows of like length together.

        Args:
            sizes: `(rows, inputs)`: how long each row of each input is.
            size: Rows a batch.
            most: How long rows may be.

        Yields:
            Rows that are to be predicted together, and the widths of their inputs.
        """
        order = np.argsort(sizes.max(axis=1), kind="stable")
        rows: list[np.ndarray] = []
        before: list[int] = []
        start = 0
        while start < len(order):
            step = size
            if self.in_small_steps:
                step = min(size, rows_at_a_time(int(sizes[order[start]].max())))
            batch = order[start : start + step]
            start += step
            widths = self._widths(sizes[batch], most)
            if rows and widths != before:
                yield np.concatenate(rows), before
                rows = []
            rows.append(batch)
            before = widths
        if rows:
            yield np.concatenate(rows), before

    def _widths(self, sizes: np.ndarray, most: int) -> list[int]:
        widths: list[int] = sizes.max(axis=0).tolist()
        if self.program_widths is not None:
            return [self.program_widths(max(widths), len(sizes), most)] * len(widths)
        # A CPU's one program for encoders of all widths reads what is filled up, too.
        if self.in_small_steps or not execution.COMPILES:
            return widths
        return [min(rounded(w), most) for w in widths]

    def _as_wide_as_before(self, inputs: list[np.ndarray]) -> list[np.ndarray]:
        """Cuts or fills up the inputs of a model that ends early, so that they take a program that
        there is: one more is for twice as many words."""
        needed = [used(array, 1) for array in inputs]
        rows = len(pad(inputs[0][:, :1]))
        known = self.widths.setdefault(rows, [])
        for widths in known:
            if all(map(operator.ge, widths, needed)):
                break
        else:
            widths = tuple(max(LEAST_WIDTH, 2 ** (width - 1).bit_length()) for width in needed)
            known.append(widths)
            known.sort(key=math.prod)
        return [resized(a, (len(a), width)) for a, width in zip(inputs, widths, strict=True)]

    def _filled(self, inputs: list[np.ndarray], size: int) -> list[np.ndarray]:
        """The last of many batches takes the program of the others."""
        if not execution.COMPILES:
            return inputs
        return [resized(array, (size, *array.shape[1:])) for array in inputs]

    def _run(
        self,
        batches: Iterable[Any],
        feed: list[np.ndarray],
        size: int,
        steps: int,
        verbose: Verbose,
    ) -> list[np.ndarray]:
        if verbose == "auto":
            verbose = int(steps > 1)
        progress = keras.utils.Progbar(steps, verbose=verbose) if verbose else None
        if steps == 1:
            (inputs,) = batches
            rows = len(inputs[0])
            found = self.batch.finish(self.batch.start([pad(array, size) for array in inputs]))
            if progress is not None:
                progress.update(1)
            # JAX gives arrays that are not to be written to.
            return [np.require(array[:rows], requirements="W") for array in found]
        tables = self.batch.precompute(max(int(np.count_nonzero(array)) for array in feed))
        outputs: list[list[np.ndarray]] = []

        def finish(started: Any, rows: int) -> None:
            outputs.append([array[:rows] for array in self.batch.finish(started)])
            if progress is not None:
                progress.update(len(outputs))

        begun: collections.deque[tuple[Any, int]] = collections.deque()
        with self.batch.at_once() as start:
            for inputs in batches:
                begun.append((start(self._filled(inputs, size), tables), len(inputs[0])))
                if len(begun) > execution.BATCHES_AT_ONCE:
                    finish(*begun.popleft())
            while begun:
                finish(*begun.popleft())
        return list(map(np.concatenate, zip(*outputs, strict=True)))
