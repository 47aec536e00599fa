"""Checks feeds before the backend gets them, and keeps the weights after exceptions."""

from __future__ import annotations

import contextlib
import copy
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np

from keras_qa import execution
from keras_qa.execution.layer_state import LayerState
from keras_qa.inputs.arrays import to_arrays
from keras_qa.inputs.labels import model_outputs, to_labels, to_weights
from keras_qa.inputs.sources import Batch, CheckedSource, RaiseErrors, is_source, unpacked
from keras_qa.models.compiling import Callbacks

_FUNCTIONS = ("train_function", "test_function", "predict_function")


class CheckedModel(keras.Model):
    """A functional model with methods that check feeds and keep its weights."""

    _layer_state: LayerState | None = None
    _predict_batch: execution.BatchPredictor | None = None
    _outdated: set[str] | None = None

    @contextlib.contextmanager
    def _remade_if_changed(self, function: str) -> Iterator[LayerState]:
        """Recreates a compiled function if a layer has changed since it was created.

        Keras uses a compiled function until `compile` is called, even if layers have changed.
        """
        state = self._layer_state
        is_new = state is None or not state.is_current()
        if state is None or is_new:
            self._outdated = None if state is None else set(_FUNCTIONS)
            self._layer_state = state = LayerState(self)
            self._predict_batch = None
        if self._outdated and function in self._outdated:
            self._outdated.discard(function)
            setattr(self, function, None)
        try:
            yield state
        finally:
            if is_new:
                state.settle()

    @contextlib.contextmanager
    def _guard(
        self, sources: list[CheckedSource], function: str, may_end: bool = False
    ) -> Iterator[list[Any]]:
        """Keeps the weights after an exception, and raises the original error of a data source.

        `function` is the name of Keras' compiled function. For `train_function` the state of the
        optimizer is kept too. With `may_end` a generator may end early without a warning.
        """
        with warnings.catch_warnings():
            if may_end:
                warnings.filterwarnings("ignore", message="Your input ran out of data")
            try:
                trains = function == "train_function"
                kept = execution.keep_weights(self, trains)
                with self._remade_if_changed(function), kept as hooks:
                    yield [RaiseErrors(sources), *hooks]
            finally:
                RaiseErrors(sources).check()

    def _feed(
        self,
        sources: list[CheckedSource],
        x: Any,
        y: Any,
        sample_weight: Any,
        steps: int | None,
        shuffle: bool = False,
        labelled: bool = True,
    ) -> Batch:
        if not is_source(x):
            return self._checked(x, y, sample_weight, labelled)
        for argument, value in (("y", y), ("sample_weight", sample_weight)):
            if value is not None:
                raise ValueError(
                    f"`{argument}` must be `None` if `x` is a data source. Yield it with each "
                    "batch: `(inputs, labels, sample_weight)`."
                )
        source = CheckedSource(x, self._batch_check(labelled), steps, shuffle)
        sources.append(source)
        return source.data, None, None

    def num_positions(self, inputs: list[np.ndarray]) -> int | None:
        """Returns the width of outputs that depends on these inputs, or `None`."""
        return None

    def _batch_check(self, labelled: bool) -> Callable[[Any], Batch]:
        def check(batch: Any) -> Batch:
            x, y, sample_weight = unpacked(batch, len(self.inputs))
            checked = self._checked(x, y, sample_weight, labelled)
            # tf.data converts a list to one tensor, but keeps a tuple.
            return tuple(
                tuple(part) if isinstance(part, list) else part
                for part in checked
                if part is not None
            )

        return check

    def _checked(self, x: Any, y: Any, sample_weight: Any, labelled: bool = True) -> Batch:
        arrays = to_arrays(x, self)
        inputs = list(arrays.values())
        batch_size = len(inputs[0])
        if labelled:
            if y is not None:
                y = to_labels(y, self, batch_size, self.num_positions(inputs))
            elif self.loss is not None:
                raise ValueError(
                    "`y` is missing: training and evaluation need a label for each example."
                )
        if sample_weight is not None:
            sample_weight = to_weights(sample_weight, batch_size, model_outputs(self))
        return (
            keras.tree.pack_sequence_as(self.input, inputs),
            y if labelled else None,
            sample_weight if labelled else None,
        )


def with_hooks(callbacks: Callbacks, hooks: list[Any]) -> Callbacks:
    """Adds the hooks of `_guard` and others to a user's callbacks."""
    if isinstance(callbacks, keras.callbacks.CallbackList):
        # Do not change the user's list.
        hooked = copy.copy(callbacks)
        hooked.callbacks = with_hooks(callbacks.callbacks, hooks)
        return hooked
    if callbacks is None:
        callbacks = []
    # The first hook raises the error of a source, so it must run before callbacks that save.
    return [
        *hooks[:1],
        *(callbacks if isinstance(callbacks, (list, tuple)) else [callbacks]),
        *hooks[1:],
    ]
