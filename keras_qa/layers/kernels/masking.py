"""Operations on sequences with padding, and whether loops skip the padding of a batch."""

from __future__ import annotations

import contextlib
import contextvars
from collections.abc import Iterator

from keras import ops

from keras_qa.layers.kernels.tensor_types import Masks, Tensor

_ending_early = contextvars.ContextVar("ending_early", default=False)


@contextlib.contextmanager
def ending_early(on: bool = True) -> Iterator[None]:
    """Makes loops that are traced inside it end with the longest row of each batch.

    One compiled program then serves batches of every length, but takes more time for each step.
    """
    token = _ending_early.set(on)
    try:
        yield
    finally:
        _ending_early.reset(token)


def ends_early() -> bool:
    """Whether the loop that is traced now has to end with the longest row."""
    return _ending_early.get()


def mask_of(mask: Tensor | Masks, index: int) -> Tensor | None:
    """The mask of one input, if `mask` is a list of the masks of all inputs; else `mask`."""
    return mask[index] if isinstance(mask, (list, tuple)) else mask


def zero_masked(values: Tensor, mask: Tensor | None) -> Tensor:
    """The values with zeros where the mask of all axes but the last is false."""
    if mask is None:
        return values
    return ops.where(ops.expand_dims(mask, -1), values, ops.zeros_like(values))


def masked_softmax(scores: Tensor, mask: Tensor | None) -> Tensor:
    """Softmax over the last axis, in float32; all zeros for rows without a true entry."""
    scores = ops.cast(scores, "float32")
    if mask is not None:
        # Not minus infinity: a row without a true entry would become NaN.
        scores = ops.where(mask, scores, -1e9)
    # `keras.ops.softmax` of Keras 3.15.1 warns if the axis has size 1.
    weights = ops.exp(scores - ops.logsumexp(scores, axis=-1, keepdims=True))
    return weights if mask is None else ops.where(mask, weights, 0.0)


def max_over_time(states: Tensor, mask: Tensor) -> Tensor:
    """The largest entries of the states where the mask is true; zeros if it is nowhere true."""
    present = ops.expand_dims(mask, -1)
    # The lowest number of float16.
    highest = ops.max(ops.where(present, states, ops.cast(-65504.0, states.dtype)), axis=1)
    return ops.where(ops.any(present, axis=1), highest, ops.zeros_like(highest))


def mean_over_time(states: Tensor, mask: Tensor) -> Tensor:
    """The mean of the states where the mask is true, in float32; zeros if it is nowhere true."""
    weights = ops.expand_dims(ops.cast(mask, "float32"), -1)
    total = ops.sum(ops.cast(states, "float32") * weights, axis=1)
    return total / ops.maximum(ops.sum(weights, axis=1), 1.0)
