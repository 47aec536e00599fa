"""Examples that a small model can memorize. All have the same length, to compile once."""

from __future__ import annotations

from keras_qa import Example

COLOURS = ("red", "green", "blue")

# Every text contains its answer.
EXAMPLES = [
    Example(f"the {thing} is {colour}.", f"What colour is the {thing}?", colour)
    for thing in ("door", "box", "car")
    for colour in COLOURS
]

# Answers of one and two words, with offsets.
SHADES = (*COLOURS, "dark grey")
SPANS = [
    Example(f"the {thing} is {shade}.", f"What colour is the {thing}?", shade, 8 + len(thing))
    for thing in ("door", "box", "car", "sky")
    for shade in SHADES
]

# The text does not answer the question.
WITHOUT = [
    Example(item.text, f"What colour is the {other}?", id=f"{other} in {item.text}")
    for item, other in zip(SPANS, ("moon", "house", "tree", "hat") * 4, strict=True)
]
