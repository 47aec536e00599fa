"""What a tensor is: what kernels, layers and losses use of one, whichever backend has made it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, cast

# The size of each axis, `None` where only the data says it.
Shape = tuple[int | None, ...]


class Tensor(Protocol):
    """A tensor of the backend, a NumPy array, or a `keras.KerasTensor` that stands for one.

    What is not named here is computed by `keras.ops`: not all of them have it, or mean the same.
    """

    @property
    def shape(self) -> Sequence[Any]:
        """The size of each axis, `None` where only the data says it."""

    @property
    def dtype(self) -> object:
        """The backend's own, or Keras' name of it."""

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

    # Of booleans.
    def __and__(self, other: Any, /) -> Tensor: ...

    def __invert__(self) -> Tensor: ...

    def __eq__(self, other: Any, /) -> Tensor: ...  # type: ignore[override]

    def __ne__(self, other: Any, /) -> Tensor: ...  # type: ignore[override]


# The mask of each input: `(batch, time)` boolean, or `None` where all is there.
Masks = Sequence[Tensor | None] | None


def shapes(input_shape: Shape | Sequence[Shape]) -> list[Shape]:
    """The shape of each input, of one or of several, as tuples or as a file has them."""
    several = isinstance(input_shape[0], (list, tuple))
    return cast(list[Shape], list(input_shape) if several else [input_shape])
