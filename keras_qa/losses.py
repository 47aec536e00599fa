"""Losses that Keras does not have."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="keras_qa")
class SupportLoss(keras.losses.Loss):
    """Binary cross-entropy of supporting facts, added up over the sentences of a text.

    Labels may be wider or narrower than the text: what is missing on either side is padding, which
    supports nothing and costs nothing.

    Args:
        name: Name of the loss.
        **kwargs: `reduction` and `dtype`, as in `keras.losses.Loss`.

    Example:

    >>> import numpy as np
    >>> from keras_qa.losses import SupportLoss
    >>> round(float(SupportLoss()(np.array([[1.0, 0.0, 0.0]]), np.array([[0.5, 0.5]]))), 3)
    1.386
    """

    def __init__(self, name: str = "support_loss", **kwargs: Any) -> None:
        super().__init__(name=name, **kwargs)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        # Both ends are filled up and cut, since a compiled program may not know which is shorter.
        width = ops.shape(y_pred)[1]
        y_true = ops.concatenate([ops.cast(y_true, y_pred.dtype), ops.zeros_like(y_pred)], axis=1)
        y_true = y_true[:, :width]
        small = keras.config.epsilon()
        chance = ops.clip(y_pred, small, 1.0 - small)
        losses = y_true * ops.log(chance) + (1.0 - y_true) * ops.log(1.0 - chance)
        return -ops.sum(losses, axis=1)
