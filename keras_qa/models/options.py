"""What models are compiled and trained with: names for these types."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

import keras

from keras_qa.kernels.tensor_types import Tensor

Optimizer: TypeAlias = str | keras.optimizers.Optimizer

Loss: TypeAlias = str | keras.losses.Loss | Callable[[Tensor, Tensor], Tensor]

# One, several, or the list that Keras makes of them.
Callbacks: TypeAlias = (
    keras.callbacks.Callback
    | Sequence[keras.callbacks.Callback]
    | keras.callbacks.CallbackList
    | None
)

# The loss alone, the loss and the metrics in their order, or all by name.
Scores: TypeAlias = float | list[float] | dict[str, float]
