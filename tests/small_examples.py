"""Examples that a small model learns by heart, all of one length: one shape to compile for."""

from __future__ import annotations

import itertools

from keras_qa import Example

COLOURS = ("red", "green", "blue")

# The answer stands in every text.
EXAMPLES = [
    Example(f"the {thing} is {colour}.", f"What colour is the {thing}?", colour)
    for thing in ("door", "box", "car")
    for colour in COLOURS
]

# Answers of one word and of two, with their offsets.
SPANS = [
    Example(f"the {thing} is {colour}.", f"What colour is the {thing}?", colour, 8 + len(thing))
    for thing in ("door", "box", "car", "sky")
    for colour in (*COLOURS, "dark grey")
]

# What is asked about is not in the text.
WITHOUT = [
    Example(item.text, f"What colour is the {other}?", id=f"{other} in {item.text}")
    for item, other in zip(SPANS, ("moon", "house", "tree", "hat") * 4, strict=True)
]

# Two sentences, of which the answer rests on one.
STORIES = [
    Example(
        f"The door is {colours[0]}. The box is {colours[1]}.",
        f"What colour is the {('door', 'box')[asked]}?",
        colours[asked],
        supporting_facts=asked,
    )
    for colours in itertools.product(COLOURS, repeat=2)
    for asked in (0, 1)
]
