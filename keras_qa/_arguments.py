"""Checks of arguments, for every room."""

from __future__ import annotations

import numbers


def short_repr(value: object) -> str:
    """A value as a message quotes it: in one line of at most 80 characters."""
    return " ".join(repr(value).split())[:80]


def must_be(name: str, expected: str, value: object) -> str:
    """The message for an argument whose value is not what was expected."""
    return f"`{name}` must be {expected}. Received: {name}={short_repr(value)}."


def is_integer(value: object, least: int = 1) -> bool:
    """Whether `value` is an integer of at least `least`. NumPy's count, `True` does not."""
    return (
        isinstance(value, numbers.Integral) and not isinstance(value, bool) and int(value) >= least
    )


def is_number(value: object) -> bool:
    """Whether `value` is a real number. NumPy's count, `True` does not."""
    return isinstance(value, numbers.Real) and not isinstance(value, bool)


def to_integer(name: str, value: object, least: int = 1) -> int:
    """Checks an integer, and makes it one of Python: Keras and JSON take no NumPy integers.

    Args:
        name: Name of the argument.
        value: Its value.
        least: The lowest value.

    Returns:
        The value as an `int`.

    Raises:
        ValueError: If `value` is no integer, or lower.
    """
    if not is_integer(value, least):
        named = {0: "a non-negative integer", 1: "a positive integer"}
        raise ValueError(must_be(name, named.get(least, f"an integer of at least {least}"), value))
    return int(value)  # type: ignore[call-overload, no-any-return]


def to_optional_integer(name: str, value: object, least: int = 1) -> int | None:
    """Checks an integer that may be `None`, as `to_integer` does."""
    return None if value is None else to_integer(name, value, least)


def check_positive_integers(**arguments: object) -> None:
    """Raises a `ValueError` that names the first argument that is no positive integer."""
    for name, value in arguments.items():
        to_integer(name, value)


def check_fraction(name: str, value: object) -> None:
    """Raises a `ValueError` if an argument is no number between 0 and 1."""
    if not is_number(value) or not 0 <= value <= 1:  # type: ignore[operator]
        raise ValueError(must_be(name, "between 0 and 1", value))


def check_flag(name: str, value: object) -> None:
    """Raises a `ValueError` if an argument is neither `True` nor `False`."""
    if not isinstance(value, bool):
        raise ValueError(must_be(name, "`True` or `False`", value))
