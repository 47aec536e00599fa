"""What counts as a size, in every layer."""

import numbers
from typing import Any


def is_size(value: Any) -> bool:
    """Whether `value` is a positive whole number, NumPy's included."""
    return isinstance(value, numbers.Integral) and not isinstance(value, bool) and int(value) > 0
