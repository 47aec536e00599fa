"""Checks of settings that may come from a file: numbers, flags and entries of a config."""

from __future__ import annotations

import math
import numbers
import sys
from collections.abc import Mapping
from typing import Any, TypeVar

import numpy as np

# Arrays of ids and offsets are int32.
_MOST = 2**31 - 1

_KINDS: dict[type, str] = {dict: "an object", list: "a list", str: "a string"}
_Kind = TypeVar("_Kind")


def check_integer(name: str, value: object, least: int = 1, optional: bool = False) -> None:
    """Raises a `ValueError` unless a setting is an integer of at least `least`.

    Args:
        name: Name of the setting.
        value: Its value.
        least: The smallest integer allowed. The largest is that of int32.
        optional: Whether `None` is allowed.
    """
    if optional and value is None:
        return
    is_integer = isinstance(value, numbers.Integral) and not isinstance(value, bool)
    number = int(value) if isinstance(value, numbers.Integral) else 0
    if not is_integer or not least <= number <= _MOST:
        named = {0: "a non-negative integer", 1: "a positive integer"}
        expected = named.get(least, f"an integer of at least {least}")
        limit = f", at most {_MOST}" if number > _MOST else ""
        raise ValueError(
            f"`{name}` must be {expected}{' or `None`' if optional else ''}{limit}. "
            f"Received: {name}={value!r:.80}."
        )


def check_number(name: str, value: object, positive: bool = False) -> None:
    """Raises a `ValueError` unless a setting is a finite number, or a positive one."""
    number = _number(value)
    # An integer may be too large for a float. Comparisons with NaN are false.
    if not abs(number) <= sys.float_info.max or (positive and number <= 0):
        expected = "a positive number" if positive else "a finite number"
        raise ValueError(f"`{name}` must be {expected}. Received: {name}={value!r:.80}.")


def _number(value: object) -> float:
    """A value that is a number, or NaN."""
    if isinstance(value, np.floating):
        return float(value)
    return value if isinstance(value, (int, float)) and not isinstance(value, bool) else math.nan


def check_share(name: str, value: object) -> None:
    """Raises a `ValueError` unless a setting is a number from 0 to 1."""
    number = _number(value)
    if not 0 <= number <= 1:
        raise ValueError(f"`{name}` must be between 0 and 1. Received: {name}={value!r:.80}.")


def check_flag(name: str, value: object) -> None:
    """Raises a `ValueError` unless a setting is `True` or `False`."""
    if not isinstance(value, (bool, np.bool_)):
        raise ValueError(f"`{name}` must be `True` or `False`. Received: {name}={value!r:.80}.")


def entry(config: Mapping[str, Any], name: str, kind: type[_Kind]) -> _Kind:
    """Gives an entry of a config, or raises a `ValueError` if it is missing or of another kind."""
    value = config.get(name)
    if not isinstance(value, kind):
        received = f"{value!r:.80}" if name in config else "none"
        raise ValueError(f"`{name}` must be {_KINDS[kind]}. Received: {received}.")
    return value
