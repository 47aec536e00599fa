"""Types of tensors, shapes and masks, for any backend."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

# The size of each axis, `None` if unknown before the data.
Shape = tuple[int | None, ...]


class Tensor(Protocol):
    """A tensor of the backend, a NumPy array, or a `keras.KerasTensor` that stands for one.

    Only the operators that all of them have with the same meaning. `keras.ops` does the rest.
    """

    @property
    def shape(self) -> Sequence[Any]:
        """The size of each axis, `None` if unknown before the data."""

    @property
    def dtype(self) -> object:
        """The backend's dtype object, or Keras' name of it."""

    def __getitem__(self, key: Any, /) -> Tensor: ...

    def __add__(self, other: Any, /) -> Tensor: ...

    def __radd__(self, other: Any, /) -> Tensor: ...

    def __sub__(self, other: Any, /) -> Tensor: ...

    def __rsub__(self, other: Any, /) -> Tensor: ...

    def __mul__(self, other: Any, /) -> Tensor: ...

    def __rmul__(self, other: Any, /) -> Tensor: ...

    def __truediv__(self, other: Any, /) -> Tensor: ...

    def __neg__(self) -> Tensor: ...

    def __lt__(self, other: Any, /) -> Tensor: ...

    def __le__(self, other: Any, /) -> Tensor: ...

    def __gt__(self, other: Any, /) -> Tensor: ...

    def __ge__(self, other: Any, /) -> Tensor: ...

    # For boolean tensors.
    def __and__(self, other: Any, /) -> Tensor: ...

    def __invert__(self) -> Tensor: ...

    def __eq__(self, other: Any, /) -> Tensor: ...  # type: ignore[override]

    def __ne__(self, other: Any, /) -> Tensor: ...  # type: ignore[override]


# The mask of each input: `(batch, time)` boolean, or `None` if no step is masked.
Masks = Sequence[Tensor | None] | None
