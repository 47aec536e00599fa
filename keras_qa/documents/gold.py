"""Locates the known answers of questions in an index, for evaluation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from keras_qa.documents.document import Hit
from keras_qa.documents.index import Index
from keras_qa.example import Example


class Place(NamedTuple):
    """A part of a document's text, from `start` to `end`."""

    document: str
    start: int
    end: int


def texts_in(index: Index, examples: Sequence[Example]) -> list[list[Place]]:
    """Returns, for each example, the places of its text in the documents of an index.

    The text of an example with a `document` is searched in that document. Any other text must be
    the whole text of a document; this reads all documents.

    Raises:
        ValueError: If the document of an example is not in the index.
    """
    wanted: dict[str, list[str]] = {
        item.plain_text: [] for item in examples if item.document is None
    }
    if wanted:
        for name in index.names:
            text = index.text(name)
            if text in wanted:
                wanted[text].append(name)
    return [list(_texts(index, item, place, wanted)) for place, item in enumerate(examples)]


def _texts(
    index: Index, item: Example, position: int, wanted: dict[str, list[str]]
) -> Iterator[Place]:
    text = item.plain_text
    if item.document is None:
        for name in wanted[text]:
            yield Place(name, 0, len(text))
        return
    try:
        start = index.text(item.document).find(text)
    except KeyError:
        raise ValueError(
            f"The example at position {position} is about the document {item.document!r}, which "
            "the index does not have. Give the name that `index.names` has."
        ) from None
    if start >= 0:
        yield Place(item.document, start, start + len(text))


def answers_in(example: Example, texts: Sequence[Place]) -> list[Place]:
    """Returns the places of an example's answers, by the places of its text from `texts_in`."""
    return [
        Place(text.document, text.start + start, text.start + start + len(answer))
        for text in texts
        for answer, start in zip(example.answers, example.answer_start, strict=False)
    ]


def rank(hits: Sequence[Hit], answers: Sequence[Place]) -> int | None:
    """Returns the rank of the first passage that contains a whole answer, from 1, or `None`."""
    for number, hit in enumerate(hits, start=1):
        for document, start, end in answers:
            if hit.document == document and hit.start <= start and end <= hit.end:
                return number
    return None
