"""What was given, in a message that fits on a line."""

from __future__ import annotations

import itertools
import reprlib
from collections.abc import Collection

_MOST_NAMES = 5
_MOST_CHARACTERS = 40


def names(given: Collection[object]) -> str:
    """The first few names, and how many more there are."""
    shown = [f"`{_short(str(name))}`" for name in itertools.islice(given, _MOST_NAMES)]
    more = len(given) - len(shown)
    return (", ".join(shown) or "none") + (f" and {more:,} more" if more else "")


def value(given: object) -> str:
    """How a value is written, or the beginning of that."""
    shortened = reprlib.Repr()
    shortened.maxstring = shortened.maxother = _MOST_CHARACTERS
    return _short(" ".join(shortened.repr(given).split()))


def _short(text: str) -> str:
    return text if len(text) <= _MOST_CHARACTERS else f"{text[: _MOST_CHARACTERS - 1]}…"
