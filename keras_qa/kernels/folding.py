"""What layers compute from their weights alone, in inference: once for many batches.

A layer that has such a part gives it by a method `fold()`, says by `folds(words)` for how many
words it is worth its work, and asks `given` in its `call` whether it was computed before.
"""

from __future__ import annotations

import contextlib
import contextvars
from collections.abc import Iterator, Sequence

import keras

from keras_qa.kernels.tensors import Tensor

# What was computed for each layer, by name.
Folded = dict[str, list[Tensor]]

_given: contextvars.ContextVar[Folded | None]
_given = contextvars.ContextVar("given", default=None)


def folding_layers(model: keras.Model, words: int) -> tuple[str, ...]:
    """Names of the layers whose part is worth computing for a number of words."""
    layers = [layer for layer in model.layers if hasattr(layer, "folds")]
    return tuple(layer.name for layer in layers if layer.folds(words))


def fold(model: keras.Model, names: Sequence[str]) -> Folded:
    """Computes the parts of layers, by name."""
    return {name: model.get_layer(name).fold() for name in names}


@contextlib.contextmanager
def giving(folded: Folded) -> Iterator[None]:
    """Gives layers, while the block runs, what `fold` gave."""
    token = _given.set(folded)
    try:
        yield
    finally:
        _given.reset(token)


def given(layer: keras.layers.Layer) -> list[Tensor] | None:
    """What was computed for a layer before, or `None`."""
    return (_given.get() or {}).get(layer.name)
