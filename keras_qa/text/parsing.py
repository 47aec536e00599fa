"""Tokenizers from text of the `tokenizers` library, which may have come from anywhere."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from keras_qa.files.json_files import nested_objects

if TYPE_CHECKING:
    import tokenizers

# How much longer all replacements together may make a text. Those of real tokenizers make it some
# three times as long at most.
_MOST_GROWTH = 64
# How far ids may run beyond the number of tokens.
_MOST_GAPS = 100_000


def tokenizer_from(text: str) -> tokenizers.Tokenizer:
    """Makes a tokenizer of its JSON, once it is known to cost no more than it says.

    Args:
        text: What `tokenizers.Tokenizer.to_str` gives, or a `tokenizer.json` holds.

    Returns:
        The tokenizer.

    Raises:
        ValueError: If it is no tokenizer, has ids far beyond its tokens, or replacements that would
            make a text many times as long.
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
    if highest >= len(ids) + _MOST_GAPS:
        raise ValueError(
            f"The tokenizer has id {highest}, but {len(ids):,} tokens. Number its tokens from 0."
        )
    steps = nested_objects([content.get("normalizer"), content.get("pre_tokenizer")])
    growth = math.prod(map(_growth, steps))
    if growth > _MOST_GROWTH:
        raise ValueError(
            f"The tokenizer's replacements may make a text {growth:.0f} times as long, more than "
            f"{_MOST_GROWTH} times. Replace by fewer characters."
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
    """How many times as long a step may make a text, at least once."""
    if step.get("type") != "Replace":
        return 1.0
    content, pattern = step.get("content"), step.get("pattern")
    shortest = pattern.get("String") if isinstance(pattern, Mapping) else None
    length = len(shortest) if isinstance(shortest, str) else 1
    return max(1.0, len(content) / max(1, length)) if isinstance(content, str) else 1.0
