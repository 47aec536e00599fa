"""Examples that a small model can memorize. All have the same length, to compile once."""

from __future__ import annotations

import json
import pathlib
from collections.abc import Sequence

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


def squad_file(path: pathlib.Path, examples: Sequence[Example], source: str | None = None) -> str:
    """Writes a file in SQuAD's format. The ids are `q0`, `q1` and so on."""
    paragraphs = []
    for place, item in enumerate(examples):
        offsets = item.answer_start or [None] * len(item.answers)
        answers = [
            {"text": text, "answer_start": start}
            for text, start in zip(item.answers, offsets, strict=True)
            if start is not None
        ]
        asked = {"id": f"q{place}", "question": item.question, "answers": answers}
        paragraphs.append({"context": item.text, "qas": [asked]})
    path.write_text(json.dumps({"data": [{"source": source, "paragraphs": paragraphs}]}))
    return str(path)


def read_lines(path: pathlib.Path) -> list[dict]:
    """Reads a file of one JSON object per line."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
