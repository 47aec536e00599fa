"""Settings in JSON, of which a damaged file is named."""

from __future__ import annotations

import json
import pathlib
from collections.abc import Iterator
from typing import Any


def read_object(path: pathlib.Path) -> dict[str, Any]:
    """Reads a file that holds one JSON object.

    Args:
        path: The file.

    Returns:
        What it holds.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is not JSON, or not an object.

    Examples:
        >>> import pathlib, tempfile
        >>> from keras_qa.files.json_files import read_object
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "config.json"
        >>> _ = path.write_text('{"model_type": "bert"}')
        >>> read_object(path)
        {'model_type': 'bert'}
    """
    return parse_object(path.read_bytes(), path)


def parse_object(content: bytes, path: pathlib.Path) -> dict[str, Any]:
    """Parses what a file holds, see `read_object`, where its text is needed, too.

    Args:
        content: What it holds.
        path: The file, for the message.

    Raises:
        ValueError: If it is not JSON, or not an object.
    """
    try:
        found = json.loads(content.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"`{path}` is not JSON: {error}. Get it again.") from None
    if not isinstance(found, dict):
        raise ValueError(f"`{path}` must hold a JSON object. Get it again.")
    return found


def nested_objects(value: object, max_depth: int | None = None) -> Iterator[dict[str, Any]]:
    """Yields every object of parsed JSON, in no particular order, at any depth.

    Args:
        value: What `json.loads` gave.
        max_depth: How many objects and lists may be nested. `None` for any number.

    Raises:
        ValueError: If more are nested.

    Examples:
        >>> from keras_qa.files.json_files import nested_objects
        >>> list(nested_objects([{"a": [{"b": 1}]}]))
        [{'a': [{'b': 1}]}, {'b': 1}]
    """
    # Not by recursion, which would end in a `RecursionError`.
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
