"""Safe parsing of tokenizers that come from untrusted files."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from keras_qa.files.json_files import nested_objects

if TYPE_CHECKING:
    import tokenizers

# Limit of how many times longer all replacements together may make a text. Published tokenizers
# stay below 3.
_MAX_GROWTH = 64
# Limit of unused ids.
_MAX_UNUSED_IDS = 100_000


def parse_tokenizer(text: str) -> tokenizers.Tokenizer:
    """Parses a tokenizer from JSON and bounds the memory that it can use.

    Args:
        text: The content of a `tokenizer.json`, as `tokenizers.Tokenizer.to_str` returns it.

    Returns:
        The tokenizer.

    Raises:
        ValueError: If the text is not a tokenizer, if its ids exceed the number of its tokens by
            far, or if its replacements make texts many times longer.
    """
    import tokenizers

    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"The tokenizer is not JSON: {error}. Get it again.") from None
    if not isinstance(content, Mapping):
        raise ValueError("The tokenizer must be a JSON object, as `tokenizers` writes it.")
    ids = list(_ids(content))
    highest = max(ids, default=0)
    if highest >= len(ids) + _MAX_UNUSED_IDS:
        raise ValueError(
            f"The tokenizer has id {highest}, but {len(ids):,} tokens. Number its tokens from 0."
        )
    steps = nested_objects([content.get("normalizer"), content.get("pre_tokenizer")])
    growth = math.prod(map(_growth, steps))
    if growth > _MAX_GROWTH:
        raise ValueError(
            f"The tokenizer's replacements may make a text {growth:.0f} times as long, more than "
            f"{_MAX_GROWTH} times. Replace by fewer characters."
        )
    try:
        # `from_str` raises a bare `Exception`.
        return tokenizers.Tokenizer.from_buffer(text.encode())
    except ValueError as error:
        line = str(error).splitlines()[0].removeprefix("Cannot instantiate Tokenizer from buffer: ")
        line = line[:120]
        raise ValueError(f"The tokenizer cannot be read: {line}. Get it again.") from None


def _ids(content: Mapping[str, Any]) -> Iterator[int]:
    model = content.get("model")
    vocabulary = model.get("vocab") if isinstance(model, Mapping) else None
    if isinstance(vocabulary, Mapping):
        yield from (value for value in vocabulary.values() if isinstance(value, int))
    elif isinstance(vocabulary, list):
        yield from range(len(vocabulary))
    added = content.get("added_tokens")
    for token in added if isinstance(added, list) else ():
        if isinstance(token, Mapping) and isinstance(token.get("id"), int):
            yield token["id"]


def _growth(step: Mapping[str, Any]) -> float:
    """How many times longer a step can make a text, at least 1."""
    if step.get("type") != "Replace":
        return 1.0
    content, pattern = step.get("content"), step.get("pattern")
    shortest = pattern.get("String") if isinstance(pattern, Mapping) else None
    length = len(shortest) if isinstance(shortest, str) else 1
    return max(1.0, len(content) / max(1, length)) if isinstance(content, str) else 1.0
