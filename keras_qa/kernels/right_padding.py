"""Masked steps moved to the end of their rows and back: cuDNN knows no mask but a row's length.

It wants one step of each row at least, and what it gives past a row's length is not to be read.
"""

from __future__ import annotations

from keras import ops

from keras_qa.kernels.tensors import Tensor


def moved(x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Moves the valid steps to the front of their rows.

    Args:
        x: (B, T, F).
        mask: (B, T), boolean.

    Returns:
        `x` so, with zeros behind them, and how many each row has, (B,).
    """
    steps = ops.arange(ops.shape(mask)[1], dtype="int32")
    order = ops.argsort(ops.where(mask, steps, steps + ops.shape(mask)[1]), axis=1)
    # A row of no valid step is read at its first: what stands there must give no NaN.
    x = ops.where(ops.expand_dims(mask, -1), x, ops.zeros_like(x))
    x = ops.take_along_axis(x, ops.expand_dims(order, -1), axis=1)
    return x, ops.sum(ops.cast(mask, "int32"), axis=1)


def held(outputs: Tensor, mask: Tensor, initial_h: Tensor, first: int | Tensor = 0) -> Tensor:
    """Gives each step the output of the last valid step up to it.

    Args:
        outputs: (B, T, U), of the steps as `moved` gives them.
        mask: (B, T), boolean.
        initial_h: (B, U), for steps before the first valid one.
        first: Where the outputs of a row begin, a number or (B, 1).

    Returns:
        (B, T, U).
    """
    count = ops.cumsum(ops.cast(mask, "int32"), axis=1)
    place = ops.expand_dims(ops.maximum(count - 1, 0) + first, -1)
    outputs = ops.take_along_axis(outputs, place, axis=1)
    return ops.where(ops.expand_dims(count > 0, -1), outputs, ops.expand_dims(initial_h, 1))
