"""Masked steps: whether loops skip them at the end of a batch, and how cuDNN gets a mask."""

from __future__ import annotations

import contextlib
import contextvars
from collections.abc import Iterator

from keras import ops

from keras_qa.kernels.tensor_types import Tensor

_ending_early = contextvars.ContextVar("ending_early", default=False)


@contextlib.contextmanager
def ending_early(on: bool = True) -> Iterator[None]:
    """Makes loops that are traced inside it end with the longest row of each batch.

    One compiled program then serves batches of every length. A loop compiled for the length of its
    batch reads every step, which takes less time for each step.
    """
    token = _ending_early.set(on)
    try:
        yield
    finally:
        _ending_early.reset(token)


def ends_early() -> bool:
    """Whether the loop that is traced now has to end with the longest row."""
    return _ending_early.get()


def to_right_padded(x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Moves the valid steps to the front of their rows: cuDNN takes lengths, not masks.

    Args:
        x: (B, T, F).
        mask: (B, T), boolean.

    Returns:
        The moved `x`, with zeros after the valid steps, and the number of valid steps, (B,).
    """
    steps = ops.arange(ops.shape(mask)[1], dtype="int32")
    order = ops.argsort(ops.where(mask, steps, steps + ops.shape(mask)[1]), axis=1)
    # cuDNN reads at least one step of each row, so a NaN in an empty row would reach the result.
    x = ops.where(ops.expand_dims(mask, -1), x, ops.zeros_like(x))
    x = ops.take_along_axis(x, ops.expand_dims(order, -1), axis=1)
    return x, ops.sum(ops.cast(mask, "int32"), axis=1)


def from_right_padded(
    outputs: Tensor, mask: Tensor, initial_h: Tensor, first: int | Tensor = 0
) -> Tensor:
    """Moves outputs back to their steps; masked steps repeat the output before them.

    Args:
        outputs: (B, T, U), for steps as `to_right_padded` arranges them.
        mask: (B, T), boolean.
        initial_h: (B, U), for steps before the first valid one.
        first: Index of the first output of each row, a number or (B, 1).

    Returns:
        (B, T, U).
    """
    count = ops.cumsum(ops.cast(mask, "int32"), axis=1)
    place = ops.expand_dims(ops.maximum(count - 1, 0) + first, -1)
    outputs = ops.take_along_axis(outputs, place, axis=1)
    return ops.where(ops.expand_dims(count > 0, -1), outputs, ops.expand_dims(initial_h, 1))
