"""What layers compute from their weights alone, in inference: once for many batches.

A layer that has such a part gives it by a method `fold()`, says by `folds(words)` for how many
words it is worth its work, and asks `given` in its `call` whether it was computed before.
"""

from __future__ import annotations

import contextlib
import contextvars
from collections.abc import Iterator, Sequence
from typing import Any

import keras

_given: contextvars.ContextVar[dict[str, Any] | None]
_given = contextvars.ContextVar("given", default=None)


def folding_layers(model: keras.Model, words: int) -> tuple[str, ...]:
    """Names of the layers whose part is worth computing for a number of words."""
    layers = [layer for layer in model.layers if hasattr(layer, "folds")]
    return tuple(layer.name for layer in layers if layer.folds(words))


def fold(model: keras.Model, names: Sequence[str]) -> dict[str, Any]:
    """Computes the parts of layers, by name."""
    return {name: model.get_layer(name).fold() for name in names}


@contextlib.contextmanager
def giving(folded: dict[str, Any]) -> Iterator[None]:
    """Gives layers, while the block runs, what `fold` gave."""
    token = _given.set(folded)
    try:
        yield
    finally:
        _given.reset(token)


def given(layer: keras.layers.Layer) -> Any:
    """What was computed for a layer before, or `None`."""
    return (_given.get() or {}).get(layer.name)
