"""Layers that start with zeros while `skip_initializers` is active."""

from __future__ import annotations

import contextlib
import contextvars
import functools
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
        return _add_weight(super().add_weight, *arguments, **options)


@contextlib.contextmanager
def zero_initialized(layer: keras.layers.Layer) -> Iterator[None]:
    """Makes a layer of Keras respect `skip_initializers` while it is built inside."""
    layer.add_weight = functools.partial(_add_weight, layer.add_weight)
    try:
        yield
    finally:
        del layer.add_weight


def _add_weight(
    add_weight: Callable[..., keras.Variable], *arguments: object, **options: object
) -> keras.Variable:
    if (zeros := _zeros.get()) is not None:
        options["initializer"] = zeros
    return add_weight(*arguments, **options)
