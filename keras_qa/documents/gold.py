"""Locates the known answers of questions in an index, and ranks search results by them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from keras_qa.documents.document import Hit
from keras_qa.documents.index import Index
from keras_qa.example import Example


class Place(NamedTuple):
    """A part of a document's text.

    Args:
        document: Name of the document.
        start: Offset of its first character.
        end: One past its last character.
    """

    document: str
    start: int
    end: int


def texts_in(index: Index, examples: Sequence[Example]) -> list[list[Place]]:
    """Finds the texts of examples in the documents of an index.

    The text of an example with a `document` is searched in that document. Any other text must be
    the whole text of a document; this reads all documents.

    Args:
        index: The index.
        examples: The examples.

    Returns:
        For each example the places of its text, which may be none.

    Raises:
        ValueError: If the document of an example is not in the index.

    Examples:
        >>> import os, tempfile
        >>> from keras_qa import Example
        >>> from keras_qa.documents import Index, gold
        >>> path = os.path.join(tempfile.mkdtemp(), "a.index")
        >>> with Index.create(path, language="en") as index:
        ...     _ = index.add([{"name": "a.txt", "text": "Ann left. Bob stayed."}])
        ...     example = Example("Bob stayed.", "Who stayed?", "Bob", 0, document="a.txt")
        ...     [texts] = gold.texts_in(index, [example])
        >>> gold.answers_in(example, texts)
        [Place(document='a.txt', start=10, end=13)]
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
    """Returns the places of an example's answers in the documents.

    Args:
        example: The example.
        texts: The places of its text, from `texts_in`.
    """
    return [
        Place(text.document, text.start + start, text.start + start + len(answer))
        for text in texts
        for answer, start in zip(example.answers, example.answer_start, strict=False)
    ]


def rank(hits: Sequence[Hit], answers: Sequence[Place]) -> int | None:
    """Returns the rank of the first passage that contains a whole answer.

    Args:
        hits: The passages, best first.
        answers: Places of the answers.

    Returns:
        The rank, from 1, or `None` if no passage contains an answer.

    Examples:
        >>> from keras_qa.documents import Hit
        >>> from keras_qa.documents.gold import Place, rank
        >>> hits = [Hit("a", "", 2.0, 0, 50), Hit("b", "", 1.0, 0, 99), Hit("a", "", 1.0, 40, 99)]
        >>> rank(hits, [Place("a", 45, 55)])
        3
    """
    for number, hit in enumerate(hits, start=1):
        for document, start, end in answers:
            if hit.document == document and hit.start <= start and end <= hit.end:
                return number
    return None
