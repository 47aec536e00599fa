"""`Dense` that is Keras' layer, LoRA computed in less time."""

from __future__ import annotations

from collections.abc import Mapping

import keras
from keras import ops

from keras_qa.kernels.tensor_types import Tensor
from keras_qa.layers.initial import ZeroInitialized


@keras.saving.register_keras_serializable(package="keras_qa")
class Dense(ZeroInitialized, keras.layers.Dense):
    """`keras.layers.Dense` that multiplies its inputs with one LoRA matrix after the other.

    Keras multiplies the two matrices with each other first, and adds the product to the kernel. One
    after the other they cost next to nothing, and training computes no gradient of the kernel's
    size. Hu et al. 2022, "LoRA: Low-Rank Adaptation of Large Language Models", arXiv:2106.09685.

    The weights, the configuration and the numbers are those of Keras' layer. One thing differs: a
    layer that was loaded can go on training its LoRA.

    Args:
        *args: as in `keras.layers.Dense`.
        **kwargs: as in `keras.layers.Dense`.

    Input shape: `(..., features)`.

    Output shape: `(..., units)`.

    Examples:
        >>> import numpy as np
        >>> from keras_qa.layers import Dense
        >>> layer = Dense(4)
        >>> layer.build((None, 3))
        >>> layer.enable_lora(2)
        >>> tuple(layer(np.ones((1, 3))).shape)
        (1, 4)
    """

    def quantize(self, mode: str | None = None, type_check: bool = True, **options: object) -> None:
        """Quantizes the kernel, as `keras.layers.Dense` does."""
        # Keras refuses subclasses, whose `call` it does not know.
        super().quantize(mode, type_check=False, **options)

    def call(self, inputs: Tensor, training: bool | None = None) -> Tensor:
        if not self.lora_enabled:
            return super().call(inputs, training=training)
        # `self.kernel` is the sum of both.
        (kernel,) = (variable for variable in self.weights if variable.name == "kernel")
        narrow = ops.matmul(inputs, self.lora_kernel_a) * (self.lora_alpha / self.lora_rank)
        found = ops.add(ops.matmul(inputs, kernel), ops.matmul(narrow, self.lora_kernel_b))
        if self.bias is not None:
            found = ops.add(found, self.bias)
        return found if self.activation is None else self.activation(found)

    def load_own_variables(self, store: Mapping[str, Tensor]) -> None:
        super().load_own_variables(store)
        if self.lora_enabled:
            # Files hold the kernel with LoRA added, and Keras sets both matrices to 0. Then both
            # gradients would be 0: draw the first matrix anew, as `enable_lora` does.
            draw = keras.initializers.HeUniform()
            self.lora_kernel_a.assign(draw(self.lora_kernel_a.shape, self.lora_kernel_a.dtype))


@keras.saving.register_keras_serializable(package="keras_qa")
class LayerNormalization(ZeroInitialized, keras.layers.LayerNormalization):
    """`keras.layers.LayerNormalization`, called directly in predictions on PyTorch."""
