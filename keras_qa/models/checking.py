"""Feeds are checked before a model sees them, and weights outlive what is raised meanwhile."""

from __future__ import annotations

import contextlib
import copy
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np

from keras_qa import execution
from keras_qa.inputs.arrays import to_arrays
from keras_qa.inputs.labels import model_outputs, to_labels, to_weights
from keras_qa.inputs.sources import Batch, RaiseErrors, Source, is_source, unpacked
from keras_qa.models.options import Callbacks


class CheckedModel(keras.Model):
    """A functional model that can check its feeds, and keep its weights."""

    @contextlib.contextmanager
    def _guard(
        self, sources: list[Source], may_end: bool = False, trains: bool = False
    ) -> Iterator[list[Any]]:
        """Keeps the weights, and raises what a data source raised as it raised it.

        `may_end` says that nothing is amiss when a generator ends; `trains`, that the optimizer's
        state is to be kept as well.
        """
        with warnings.catch_warnings():
            if may_end:
                warnings.filterwarnings("ignore", message="Your input ran out of data")
            try:
                with execution.keep_weights(self, trains) as hooks:
                    yield [RaiseErrors(sources), *hooks]
            finally:
                RaiseErrors(sources).check()

    def _feed(
        self,
        sources: list[Source],
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
                    f"`{argument}` must be `None` where `x` is a data source. "
                    f"Yield it with each batch: `(inputs, labels, sample_weight)`."
                )
        source = Source(x, self._batch_check(labelled), steps, shuffle)
        sources.append(source)
        return source.data, None, None

    def _positions(self, inputs: list[np.ndarray]) -> int | None:
        """How many positions a span may start and end at, where these inputs say so."""
        return None

    def _batch_check(self, labelled: bool) -> Callable[[Any], Batch]:
        def check(batch: Any) -> Batch:
            x, y, sample_weight = unpacked(batch, len(self.inputs))
            checked = self._checked(x, y, sample_weight, labelled)
            # tf.data tells lists, which it makes tensors of, from tuples, which it keeps.
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
                y = to_labels(y, self, batch_size, self._positions(inputs))
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
    """A user's callbacks among the hooks that `_guard` gives, and others."""
    if isinstance(callbacks, keras.callbacks.CallbackList):
        # The user's own list stays as it is.
        hooked = copy.copy(callbacks)
        hooked.callbacks = with_hooks(callbacks.callbacks, hooks)
        return hooked
    if callbacks is None:
        callbacks = []
    # The first hook must come before any callback that takes an epoch for finished.
    return [
        *hooks[:1],
        *(callbacks if isinstance(callbacks, (list, tuple)) else [callbacks]),
        *hooks[1:],
    ]
