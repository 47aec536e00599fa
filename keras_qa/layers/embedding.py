"""`Embedding` that is Keras' layer, its gradient computed in less time."""

from __future__ import annotations

import keras
from keras import ops

from keras_qa import kernels
from keras_qa.kernels.tensor_types import Tensor
from keras_qa.layers.initial import ZeroInitialized


@keras.saving.register_keras_serializable(package="keras_qa")
class Embedding(ZeroInitialized, keras.layers.Embedding):
    """`keras.layers.Embedding`, looked up by the backend's fastest way to train a table.

    The weights, the configuration and the numbers are those of Keras' layer; a file of weights of
    one loads into the other.

    Args:
        *args: as in `keras.layers.Embedding`.
        **kwargs: as in `keras.layers.Embedding`.

    Input shape: `(batch, ...)`, integers.

    Output shape: `(batch, ..., output_dim)`.

    Examples:
        >>> import numpy as np
        >>> from keras_qa.layers import Embedding
        >>> tuple(Embedding(10, 4)(np.array([[1, 2, 3]])).shape)
        (1, 3, 4)
    """

    def quantize(self, mode: str | None = None, type_check: bool = True, **options: object) -> None:
        """Quantizes the table, as `keras.layers.Embedding` does."""
        # Keras refuses subclasses, whose `call` it does not know.
        super().quantize(mode, type_check=False, **options)

    def call(self, inputs: Tensor) -> Tensor:
        if keras.backend.standardize_dtype(inputs.dtype) not in ("int32", "int64"):
            # PyTorch looks up no others.
            inputs = ops.cast(inputs, "int32")
        rows = kernels.look_up(ops.convert_to_tensor(self.embeddings), inputs)
        return ops.cast(rows, self.compute_dtype)
