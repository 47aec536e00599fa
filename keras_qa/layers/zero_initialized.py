"""Layers that start with zeros while `skip_initializers` is active."""

from __future__ import annotations

import contextlib
import contextvars
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras

from keras_qa.layers import kernels

_zeros: contextvars.ContextVar[Callable[..., Any] | None] = contextvars.ContextVar(
    "skip_initializers", default=None
)


@contextlib.contextmanager
def skip_initializers(most: int | None = None) -> Iterator[None]:
    """Starts weights with zeros inside it: for models whose weights come from a file.

    Drawing the 22 million initial weights of a small encoder takes a second and several times their
    memory, and on JAX a compiled program for each shape. A layer that exceeds `most` weights in
    total raises a `ValueError` before memory is allocated.
    """
    left = math.inf if most is None else most

    def zeros(shape: Sequence[int], dtype: Any = None) -> Any:
        nonlocal left
        left -= math.prod(shape)
        if left < 0:
            raise ValueError(
                f"its layers have more than {most:,} numbers, which is more than its weights hold."
            )
        return kernels.zeros(shape, dtype)

    token = _zeros.set(zeros)
    try:
        yield
    finally:
        _zeros.reset(token)


class ZeroInitialized(kernels.Layer):
    """A layer that respects `skip_initializers`."""

    def add_weight(self, *arguments: object, **options: object) -> keras.Variable:
        if (zeros := _zeros.get()) is not None:
            options["initializer"] = zeros
        return super().add_weight(*arguments, **options)


@contextlib.contextmanager
def zero_initialized(layer: keras.layers.Layer) -> Iterator[None]:
    """Makes a layer of Keras respect `skip_initializers` while it is built inside."""
    zeros = _zeros.get()
    own = {
        name: value
        for name, value in vars(layer).items()
        if zeros is not None and isinstance(value, keras.initializers.Initializer)
    }
    for name in own:
        setattr(layer, name, zeros)
    if own and hasattr(layer, "unit_forget_bias"):
        # With it, Keras calls the initializer for parts of the bias and concatenates them.
        own["unit_forget_bias"] = layer.unit_forget_bias
        layer.unit_forget_bias = False
    try:
        yield
    finally:
        for name, value in own.items():
            setattr(layer, name, value)
