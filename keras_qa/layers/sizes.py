"""What counts as a size, in every layer."""

from __future__ import annotations

import numbers
from collections.abc import Sequence
from typing import cast

from keras_qa.kernels.tensors import Shape


def is_size(value: object) -> bool:
    """Whether `value` is a positive whole number, NumPy's included."""
    return isinstance(value, numbers.Integral) and not isinstance(value, bool) and int(value) > 0


def check_sizes(**sizes: object) -> None:
    """Raises a `ValueError` that names the first argument that is no size."""
    for argument, value in sizes.items():
        if not is_size(value):
            raise ValueError(
                f"`{argument}` must be a positive integer. Received: {argument}={value!r}."
            )


def shapes(input_shape: Shape | Sequence[Shape]) -> list[Shape]:
    """The shape of each input, of one or of several, as tuples or as a file has them."""
    several = isinstance(input_shape[0], (list, tuple))
    return cast(list[Shape], list(input_shape) if several else [input_shape])
