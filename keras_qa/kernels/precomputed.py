"""What layers compute from their weights alone, in inference: once for many batches.

A layer that has such a part gives it by a method `precompute()`, says by `precomputes(words)` for
how many words it is worth its work, and asks `given` in its `call` whether it was computed before.
"""

from __future__ import annotations

import contextlib
import contextvars
from collections.abc import Iterator, Sequence
from typing import Any

from keras_qa.kernels.tensors import Tensor

# What was computed, beside the layer that it was computed for.
_given: contextvars.ContextVar[Sequence[tuple[Any, Sequence[Tensor]]]]
_given = contextvars.ContextVar("given", default=())


def layers(found: Sequence[Any], words: int) -> tuple[Any, ...]:
    """Those of some layers whose part is worth computing for a number of words."""
    return tuple(
        layer for layer in found if hasattr(layer, "precomputes") and layer.precomputes(words)
    )


def compute(layers: Sequence[Any]) -> list[list[Tensor]]:
    """Computes the parts of layers."""
    return [layer.precompute() for layer in layers]


@contextlib.contextmanager
def giving(layers: tuple[Any, ...], tensors: Sequence[Sequence[Tensor]]) -> Iterator[None]:
    """Gives layers, while the block runs, what `compute` gave for them."""
    token = _given.set(tuple(zip(layers, tensors, strict=True)))
    try:
        yield
    finally:
        _given.reset(token)


def given(layer: object) -> Sequence[Tensor] | None:
    """What was computed for a layer before, or `None`."""
    return next((tensors for one, tensors in _given.get() if one is layer), None)
