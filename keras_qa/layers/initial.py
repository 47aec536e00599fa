"""Layers whose first weights are not drawn where weights from a file follow."""

from __future__ import annotations

import contextlib
import contextvars
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras

from keras_qa import execution

_zeros: contextvars.ContextVar[Callable[..., Any] | None] = contextvars.ContextVar(
    "zeros of weights that follow", default=None
)


@contextlib.contextmanager
def skip_initializers(most: int | None = None) -> Iterator[None]:
    """Skips drawing initial weights that those of a file replace at once.

    For an encoder of 22 million weights, drawing takes a second and several times their memory,
    and on JAX a program for each shape.

    Args:
        most: How many numbers all layers may have together. A layer that needs more raises a
            `ValueError` before any memory is allocated for it. `None` for any number.
    """
    left = math.inf if most is None else most

    def zeros(shape: Sequence[int], dtype: Any = None) -> Any:
        nonlocal left
        left -= math.prod(shape)
        if left < 0:
            raise ValueError(
                f"its layers have more than {most:,} numbers, which is more than its weights hold."
            )
        return execution.zeros(shape, dtype)

    token = _zeros.set(zeros)
    try:
        yield
    finally:
        _zeros.reset(token)


class ZeroInitialized(execution.Layer):
    """A layer whose own weights start with zeros inside `skip_initializers`."""

    def add_weight(self, *arguments: object, **options: object) -> keras.Variable:
        if (zeros := _zeros.get()) is not None:
            options["initializer"] = zeros
        return super().add_weight(*arguments, **options)


@contextlib.contextmanager
def zero_initialized(layer: keras.layers.Layer) -> Iterator[None]:
    """Has a layer of Keras that is built inside of it start with zeros, if weights follow.

    Args:
        layer: The layer. Its initializers are its own again afterwards.
    """
    zeros = _zeros.get()
    own = {
        name: value
        for name, value in vars(layer).items()
        if zeros is not None and isinstance(value, keras.initializers.Initializer)
    }
    for name in own:
        setattr(layer, name, zeros)
    if own and hasattr(layer, "unit_forget_bias"):
        # Keras puts the ones of an LSTM's forget gate between what its initializer gives.
        own["unit_forget_bias"] = layer.unit_forget_bias
        layer.unit_forget_bias = False
    try:
        yield
    finally:
        for name, value in own.items():
            setattr(layer, name, value)
