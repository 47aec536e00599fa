"""Layers of Keras with the same weights, configuration and numbers, computed in less time."""

from __future__ import annotations

from collections.abc import Mapping

import keras
from keras import ops

from keras_qa.layers import kernels
from keras_qa.layers.base_layer import ZeroInitialized
from keras_qa.layers.kernels.tensor_types import Tensor


class _Quantizable(ZeroInitialized):
    """A layer that can be quantized although it is a subclass of Keras' layer."""

    def quantize(self, mode: str | None = None, type_check: bool = True, **options: object) -> None:
        # With `type_check=True` Keras 3.15.1 rejects subclasses.
        super().quantize(mode, type_check=False, **options)


@keras.saving.register_keras_serializable(package="keras_qa")
class Dense(_Quantizable, keras.layers.Dense):
    """`keras.layers.Dense` that multiplies its inputs by one LoRA matrix after the other.

    Keras adds the product of the two matrices (Hu et al. 2022, arXiv:2106.09685) to the kernel, so
    that training computes a gradient of the size of the kernel. Unlike Keras' layer, a loaded layer
    can continue to train its LoRA matrices. The arguments are those of `keras.layers.Dense`.

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

    def call(self, inputs: Tensor, training: bool | None = None) -> Tensor:
        if self.lora_enabled:
            # `self.kernel` is the kernel plus the product of the LoRA matrices.
            (kernel,) = (variable for variable in self.weights if variable.name == "kernel")
        else:
            kernel = self.kernel
        bias = None if self.bias is None else ops.convert_to_tensor(self.bias)
        outputs = kernels.dense(inputs, ops.convert_to_tensor(kernel), bias)
        if self.lora_enabled:
            narrow = ops.matmul(inputs, self.lora_kernel_a) * (self.lora_alpha / self.lora_rank)
            outputs = ops.add(outputs, ops.matmul(narrow, self.lora_kernel_b))
        return outputs if self.activation is None else self.activation(outputs)

    def load_own_variables(self, store: Mapping[str, Tensor]) -> None:
        super().load_own_variables(store)
        if self.lora_enabled:
            # Files contain the kernel with LoRA added, and Keras 3.15.1 sets both matrices to 0.
            # Both gradients would then be 0. Draw the first matrix again, as `enable_lora` does.
            draw = keras.initializers.HeUniform()
            self.lora_kernel_a.assign(draw(self.lora_kernel_a.shape, self.lora_kernel_a.dtype))


@keras.saving.register_keras_serializable(package="keras_qa")
class LayerNormalization(ZeroInitialized, keras.layers.LayerNormalization):
    """`keras.layers.LayerNormalization`, called directly in predictions on PyTorch."""


@keras.saving.register_keras_serializable(package="keras_qa")
class Embedding(_Quantizable, keras.layers.Embedding):
    """`keras.layers.Embedding`, with its arguments and a faster gradient.

    Input shape: `(batch, ...)`, integers.

    Output shape: `(batch, ..., output_dim)`.

    Examples:
        >>> import numpy as np
        >>> from keras_qa.layers import Embedding
        >>> tuple(Embedding(10, 4)(np.array([[1, 2, 3]])).shape)
        (1, 3, 4)
    """

    def call(self, inputs: Tensor) -> Tensor:
        if keras.backend.standardize_dtype(inputs.dtype) not in ("int32", "int64"):
            # PyTorch looks up int32 and int64 only.
            inputs = ops.cast(inputs, "int32")
        rows = kernels.look_up(ops.convert_to_tensor(self.embeddings), inputs)
        return ops.cast(rows, self.compute_dtype)


@keras.saving.register_keras_serializable(package="keras_qa")
class Dropout(kernels.Layer, keras.layers.Dropout):
    """`keras.layers.Dropout`, with its arguments and faster random numbers.

    With a `seed` or a `noise_shape` it is exactly Keras' layer.

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
        is_keras = self.seed is not None or self.noise_shape is not None
        if is_keras or not 0 < self.rate < 1:
            return super().call(inputs, training=training)
        return kernels.dropout(inputs, self.rate, self.seed_generator)
