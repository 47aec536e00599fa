"""Checks of arguments and of installed packages, for all rooms."""

from __future__ import annotations

import importlib
import itertools
import json
import math
import numbers
import os
import pathlib
import reprlib
import sys
import types
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any, TypeVar

import numpy as np

# Arrays of ids and offsets are int32.
MAX_INT = 2**31 - 1
# The most characters of a message, of a value in it and of a name; the most names in it.
MAX_MESSAGE_LENGTH = 300
MAX_VALUE_LENGTH = 80
MAX_NAME_LENGTH = 40
MAX_NAMES = 5

_KINDS: dict[type, str] = {dict: "an object", list: "a list", str: "a string"}
_Kind = TypeVar("_Kind")


def short_repr(value: object) -> str:
    """Returns the repr of a value in one line of at most 80 characters, for messages."""
    # `repr` fails for lists that are too deep, and takes long for large ones.
    limited = reprlib.Repr()
    limited.maxlist = limited.maxtuple = limited.maxdict = limited.maxset = 80
    limited.maxstring = limited.maxlong = limited.maxother = 200
    return " ".join(limited.repr(value).split())[:MAX_VALUE_LENGTH]


def shorten(text: str, most: int = MAX_NAME_LENGTH) -> str:
    """Returns a text of at most `most` characters: its begin and its end, if it is longer."""
    if len(text) <= most:
        return text
    tail = most // 3
    return f"{text[: most - tail - 1]}…{text[len(text) - tail :]}"


def first_line(error: BaseException, most: int = 120) -> str:
    """Returns the first line of an error's message, shortened, for messages."""
    # The message of a `KeyError` is only the key.
    lines = [] if isinstance(error, KeyError) else str(error).strip().splitlines()
    return (lines[0] if lines else repr(error))[:most]


def quote_names(names: Collection[object]) -> str:
    """Returns the first few names in backticks, and the number of the others, for messages."""
    shown: list[str] = []
    for name in itertools.islice(names, MAX_NAMES):
        if sum(map(len, shown)) < MAX_VALUE_LENGTH:
            shown.append(f"`{shorten(str(name))}`")
    more = len(names) - len(shown)
    return (", ".join(shown) or "none") + (f" and {more:,} more" if more else "")


def must_be(name: str, expected: str, value: object) -> str:
    """Returns the message for an argument with a wrong value."""
    return f"`{name}` must be {expected}. Received: {name}={short_repr(value)}."


def is_integer(value: object, least: int = 1) -> bool:
    """Whether `value` is an integer, not a boolean, of at least `least`."""
    return (
        isinstance(value, numbers.Integral) and not isinstance(value, bool) and int(value) >= least
    )


def is_number(value: object) -> bool:
    """Whether `value` is a real number, not a boolean."""
    return isinstance(value, numbers.Real) and not isinstance(value, bool)


def is_ordered(value: object) -> bool:
    """Whether `value` has entries in an order, as a list: it is no string, mapping or set."""
    others = (str, bytes, Mapping, set, frozenset)
    return isinstance(value, Iterable) and not isinstance(value, others)


def is_frame(value: object) -> bool:
    """Whether a value is a pandas or polars DataFrame."""
    return hasattr(value, "to_dict") and hasattr(value, "columns")


def to_integer(name: str, value: object, least: int = 1, most: int = MAX_INT) -> int:
    """Checks an integer, and converts it to `int`: Keras and JSON accept no NumPy integers."""
    is_too_high = is_integer(value, most + 1)
    if is_too_high or not is_integer(value, least):
        named = {0: "a non-negative integer", 1: "a positive integer"}
        expected = named.get(least, f"an integer of at least {least}")
        raise ValueError(
            must_be(name, f"{expected}, at most {most}" if is_too_high else expected, value)
        )
    return int(value)  # type: ignore[call-overload, no-any-return]


def to_optional_integer(
    name: str, value: object, least: int = 1, most: int = MAX_INT
) -> int | None:
    """Checks an integer that may be `None`, as `to_integer` does."""
    return None if value is None else to_integer(name, value, least, most)


def check_positive_integers(**arguments: object) -> None:
    """Raises a `ValueError` for the first argument that is not a positive integer."""
    for name, value in arguments.items():
        to_integer(name, value)


def check_number(name: str, value: object, positive: bool = False) -> None:
    """Raises a `ValueError` if an argument is not a finite (and positive) number."""
    number = _to_number(value)
    # An integer may be too large for a float. Comparisons with NaN are false.
    if not abs(number) <= sys.float_info.max or (positive and number <= 0):
        expected = "a positive number" if positive else "a finite number"
        raise ValueError(must_be(name, expected, value))


def check_string(name: str, value: object) -> None:
    """Raises a `TypeError` if an argument is not a string."""
    if not isinstance(value, str):
        raise TypeError(must_be(name, "a string", value))


def to_path(name: str, value: object) -> pathlib.Path:
    """Returns the path that an argument names. Raises a `TypeError` for any other value."""
    path = os.fspath(value) if isinstance(value, os.PathLike) else value
    if not isinstance(path, str):
        raise TypeError(must_be(name, "a path: a string or a `pathlib.Path`", value))
    return pathlib.Path(path)


def check_not_blank(name: str, value: str) -> None:
    """Checks that a text has more than white space."""
    if not value.strip():
        raise ValueError(must_be(name, "more than white space", value))


def check_fraction(name: str, value: object) -> None:
    """Raises a `ValueError` if an argument is not a number between 0 and 1."""
    if not 0 <= _to_number(value) <= 1:
        raise ValueError(must_be(name, "between 0 and 1", value))


def _to_number(value: object) -> float:
    """Converts a number to one of Python; anything else to NaN."""
    if isinstance(value, np.floating):
        return float(value)
    return value if is_number(value) else math.nan  # type: ignore[return-value]


def check_flag(name: str, value: object) -> None:
    """Raises a `ValueError` if an argument is neither `True` nor `False`."""
    if not isinstance(value, (bool, np.bool_)):
        raise ValueError(must_be(name, "`True` or `False`", value))


def entry(config: Mapping[str, Any], name: str, kind: type[_Kind]) -> _Kind:
    """Returns an entry of a config. Raises a `ValueError` if it is missing or of another type."""
    value = config.get(name)
    if not isinstance(value, kind):
        received = short_repr(value) if name in config else "none"
        raise ValueError(f"`{name}` must be {_KINDS[kind]}. Received: {received}.")
    return value


def to_keras_path(name: str, value: str | os.PathLike[str]) -> pathlib.Path:
    """Returns the path of a file to save. Raises `ValueError` if it does not end in `.keras`."""
    if not str(value).endswith(".keras"):
        raise ValueError(f"`{name}` must end in `.keras`. Received: {name}={str(value)!r}.")
    return pathlib.Path(value)


def check_choice(name: str, value: object, choices: Collection[str]) -> None:
    """Raises a `ValueError` if an argument is not one of the given strings."""
    if not isinstance(value, str) or value not in choices:
        raise ValueError(must_be(name, f"one of {', '.join(map(repr, choices))}", value))


def import_extra(use: str, module: str, extra: str) -> types.ModuleType:
    """Imports a module of an extra. Without it, the `ImportError` says how to install it."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise missing_extra(f"{use} needs `{module.split('.')[0]}`", extra, error) from error


def missing_extra(need: str, extra: str, error: ImportError) -> ImportError:
    """Returns the error for a package of an extra that cannot be imported."""
    return ImportError(
        f"{need}, which cannot be imported ({error}). Install it: "
        f'`pip install "keras-qa[{extra}]"`.'
    )


def read_object(path: pathlib.Path) -> dict[str, Any]:
    """Reads a file that contains one JSON object. Raises a `ValueError` for any other content."""
    return parse_object(path.read_bytes(), path)


def parse_object(content: bytes, path: pathlib.Path) -> dict[str, Any]:
    """Parses the content of a JSON file, as `read_object` does; `path` is for the message."""
    try:
        value = json.loads(content.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"`{path}` is not JSON: {error}. Get it again.") from None
    if not isinstance(value, dict):
        raise ValueError(f"`{path}` must hold a JSON object. Get it again.")
    return value


def nested_objects(value: object, max_depth: int | None = None) -> Iterator[dict[str, Any]]:
    """Yields every object of parsed JSON, in no order. Raises if one is nested too deep."""
    # A stack instead of recursion, which a deep file would end by a `RecursionError`.
    waiting = [(value, 1)]
    while waiting:
        item, depth = waiting.pop()
        if isinstance(item, dict):
            yield item
            item = list(item.values())
        elif not isinstance(item, list):
            continue
        if max_depth is not None and depth > max_depth:
            raise ValueError(f"more than {max_depth} objects and lists are nested")
        waiting.extend((inner, depth + 1) for inner in item)
