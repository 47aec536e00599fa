"""Types of tensors, shapes and masks, for any backend."""

from collections.abc import Sequence
from typing import Any, TypeAlias

# A tensor of the backend, a NumPy array, or a `keras.KerasTensor` that stands for one.
Tensor: TypeAlias = Any

# The size of each axis, `None` if unknown before the data.
Shape: TypeAlias = tuple[int | None, ...]

# The mask of each input: `(batch, time)` boolean, or `None` if no step is masked.
Masks: TypeAlias = Sequence[Tensor | None] | None
