"""Losses of supporting sentences and of answer spans."""

from __future__ import annotations

from typing import Any, TypedDict, Unpack

import keras
from keras import ops

from keras_qa.layers.base_layer import DType
from keras_qa.layers.kernels.tensor_types import Tensor


class LossOptions(TypedDict, total=False):
    """Options of `keras.losses.Loss`."""

    reduction: str | None
    dtype: DType


@keras.saving.register_keras_serializable(package="keras_qa")
class SupportLoss(keras.losses.Loss):
    """Binary cross-entropy of supporting sentences, summed over the sentences of a text.

    Labels and predictions may have different widths. Missing columns are padding, with label and
    loss 0.

    Args:
        name: Name of the loss.
        **kwargs: `reduction` and `dtype`, as in `keras.losses.Loss`.

    Examples:
        >>> import numpy as np
        >>> from keras_qa.losses.span_losses import SupportLoss
        >>> round(float(SupportLoss()(np.array([[1.0, 0.0, 0.0]]), np.array([[0.5, 0.5]]))), 3)
        1.386
    """

    def __init__(self, name: str = "support_loss", **kwargs: Unpack[LossOptions]) -> None:
        super().__init__(name=name, **kwargs)

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        # Always padded, then cut: a compiled program may not know which one is shorter.
        width = ops.shape(y_pred)[1]
        y_true = ops.concatenate([ops.cast(y_true, y_pred.dtype), ops.zeros_like(y_pred)], axis=1)
        y_true = y_true[:, :width]
        small = keras.config.epsilon()
        chance = ops.clip(y_pred, small, 1.0 - small)
        losses = y_true * ops.log(chance) + (1.0 - y_true) * ops.log(1.0 - chance)
        return -ops.sum(losses, axis=1)


@keras.saving.register_keras_serializable(package="keras_qa")
class SpanLoss(keras.losses.Loss):
    """Cross-entropy of the start or of the end of an answer over the positions of a text.

    The loss of a `span_reader` is the mean of one for the start and one for the end.

    Args:
        marginal: Whether all correct positions count: minus the logarithm of
            the sum of their probabilities (Clark & Gardner 2018,
            arXiv:1710.10723, section 3.2). Otherwise only the first one does.
        name: Name of the loss.
        **kwargs: `reduction` and `dtype`, as in `keras.losses.Loss`.

    Call arguments:
        y_true: `(batch,)` or `(batch, answers)` correct positions, padded with -1 on the right,
            such as `Windows.spans[..., 0]`.
        y_pred: `(batch, positions)` logits.

    Examples:
        >>> import numpy as np
        >>> from keras_qa.losses import SpanLoss
        >>> logits = np.log([[1.0, 2.0, 5.0]])
        >>> right = np.array([[1, 2, 2, -1]])
        >>> round(float(SpanLoss()(right, logits)), 3)                   # -log(2 / 8)
        1.386
        >>> round(float(SpanLoss(marginal=True)(right, logits)), 3)      # -log(7 / 8)
        0.134
    """

    def __init__(
        self, marginal: bool = False, name: str = "span_loss", **kwargs: Unpack[LossOptions]
    ) -> None:
        super().__init__(name=name, **kwargs)
        self.marginal = marginal

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        right = ops.cast(y_true, "int32")
        right = ops.expand_dims(right, -1) if len(right.shape) == 1 else right
        if not self.marginal:
            right = right[:, :1]
        positions = ops.arange(ops.shape(y_pred)[1], dtype="int32")
        # A repeated position counts once.
        right = ops.any(ops.equal(ops.expand_dims(right, -1), positions), axis=1)
        # Subtracting 1e4 removes the other positions in float32 without infinities.
        inside = ops.logsumexp(ops.where(right, y_pred, y_pred - 1e4), axis=1)
        return ops.logsumexp(y_pred, axis=1) - inside

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "marginal": self.marginal}
