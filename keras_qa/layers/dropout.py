"""Dropout that takes a small part of the time of a training step."""

from __future__ import annotations

import keras

from keras_qa import execution, kernels
from keras_qa.kernels.tensor_types import Tensor


@keras.saving.register_keras_serializable(package="keras_qa")
class Dropout(execution.Layer, keras.layers.Dropout):
    """`keras.layers.Dropout`, whose numbers are drawn by a kernel of the backend.

    With a `seed` or a `noise_shape` it is Keras' own, number by number.

    Args:
        *args: As in `keras.layers.Dropout`.
        **kwargs: As in `keras.layers.Dropout`.

    Output shape: as the input.

    Examples:
        >>> import numpy as np
        >>> from keras_qa.layers import Dropout
        >>> tuple(Dropout(0.5)(np.ones((2, 3, 8)), training=True).shape)
        (2, 3, 8)
    """

    def call(self, inputs: Tensor, training: bool | None = False) -> Tensor:
        if not training:
            return inputs
        asked = self.seed is not None or self.noise_shape is not None
        if asked or not 0 < self.rate < 1:
            return super().call(inputs, training=training)
        return kernels.dropout(inputs, self.rate, self.seed_generator)
