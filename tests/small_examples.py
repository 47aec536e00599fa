"""Examples that a small model learns by heart, all of one length: one shape to compile for."""

from __future__ import annotations

from keras_qa import Example

COLOURS = ("red", "green", "blue")

# The answer stands in every text.
EXAMPLES = [
    Example(f"the {thing} is {colour}.", f"What colour is the {thing}?", colour)
    for thing in ("door", "box", "car")
    for colour in COLOURS
]

# Answers of one word and of two, with their offsets.
SHADES = (*COLOURS, "dark grey")
SPANS = [
    Example(f"the {thing} is {shade}.", f"What colour is the {thing}?", shade, 8 + len(thing))
    for thing in ("door", "box", "car", "sky")
    for shade in SHADES
]

# What is asked about is not in the text.
WITHOUT = [
    Example(item.text, f"What colour is the {other}?", id=f"{other} in {item.text}")
    for item, other in zip(SPANS, ("moon", "house", "tree", "hat") * 4, strict=True)
]
