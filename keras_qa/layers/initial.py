"""Layers whose first weights are not drawn where weights from a file follow."""

from __future__ import annotations

import contextlib
import contextvars
from collections.abc import Iterator

import keras

from keras_qa import execution

_follow: contextvars.ContextVar[bool] = contextvars.ContextVar("weights_follow", default=False)


@contextlib.contextmanager
def weights_follow() -> Iterator[None]:
    """Leaves out drawing numbers that weights from a file replace at once.

    For an encoder of 22 million weights it takes a second and several times their memory, and on
    JAX a program for each shape.
    """
    token = _follow.set(True)
    try:
        yield
    finally:
        _follow.reset(token)


class Undrawn(keras.layers.Layer):
    """A layer whose own weights start with zeros inside `weights_follow`."""

    def add_weight(self, *arguments: object, **options: object) -> keras.Variable:
        if _follow.get():
            options["initializer"] = execution.zeros
        return super().add_weight(*arguments, **options)


@contextlib.contextmanager
def undrawn(layer: keras.layers.Layer) -> Iterator[None]:
    """Has a layer of Keras that is built inside of it start with zeros, if weights follow.

    Args:
        layer: The layer. Its initializers are its own again afterwards.
    """
    own = {
        name: value
        for name, value in vars(layer).items()
        if _follow.get() and isinstance(value, keras.initializers.Initializer)
    }
    for name in own:
        setattr(layer, name, execution.zeros)
    if own and hasattr(layer, "unit_forget_bias"):
        # Keras puts the ones of an LSTM's forget gate between what its initializer gives.
        own["unit_forget_bias"] = layer.unit_forget_bias
        layer.unit_forget_bias = False
    try:
        yield
    finally:
        for name, value in own.items():
            setattr(layer, name, value)
