"""What counts as a size, in every layer."""

import numbers
from typing import Any


def is_size(value: Any) -> bool:
    """Whether `value` is a positive whole number, NumPy's included."""
    return isinstance(value, numbers.Integral) and not isinstance(value, bool) and int(value) > 0


def check_sizes(**sizes: Any) -> None:
    """Raises a `ValueError` that names the first argument that is no size."""
    for argument, value in sizes.items():
        if not is_size(value):
            raise ValueError(
                f"`{argument}` must be a positive integer. Received: {argument}={value!r}."
            )


def shapes(input_shape: Any) -> list[Any]:
    """The shape of each input, of one or of several, as tuples or as a file has them."""
    several = isinstance(input_shape[0], (list, tuple))
    return list(input_shape) if several else [input_shape]
