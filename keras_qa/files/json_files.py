"""Reads JSON files; errors name the file."""

from __future__ import annotations

import json
import pathlib
from collections.abc import Iterator
from typing import Any


def read_object(path: pathlib.Path) -> dict[str, Any]:
    """Reads a file that contains one JSON object.

    Raises:
        FileNotFoundError: If the file does not exist.
        ValueError: If the file is not JSON, or not an object.
    """
    return parse_object(path.read_bytes(), path)


def parse_object(content: bytes, path: pathlib.Path) -> dict[str, Any]:
    """Parses the content of a JSON file, as `read_object` does; `path` is for the message."""
    try:
        found = json.loads(content.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"`{path}` is not JSON: {error}. Get it again.") from None
    if not isinstance(found, dict):
        raise ValueError(f"`{path}` must hold a JSON object. Get it again.")
    return found


def nested_objects(value: object, max_depth: int | None = None) -> Iterator[dict[str, Any]]:
    """Yields every object of parsed JSON, at any depth and in no particular order.

    Args:
        value: The parsed JSON.
        max_depth: Maximum depth of nested objects and lists. `None` for any depth.

    Raises:
        ValueError: If objects and lists are nested deeper than `max_depth`.
    """
    # A stack instead of recursion, which a deep file would end by a `RecursionError`.
    waiting = [(value, 1)]
    while waiting:
        found, depth = waiting.pop()
        if isinstance(found, dict):
            yield found
            found = list(found.values())
        elif not isinstance(found, list):
            continue
        if max_depth is not None and depth > max_depth:
            raise ValueError(f"more than {max_depth} objects and lists are nested")
        waiting.extend((inner, depth + 1) for inner in found)
