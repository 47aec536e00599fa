"""`Document`, `Passage`, a passage that a search returns, and `Retriever`, what can search."""

from __future__ import annotations

import bisect
import dataclasses
import itertools
import numbers
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol

from keras_qa.documents.visible_text import Edit, Heading, VisibleText, check_spans
from keras_qa.example import enumerate_records


@dataclasses.dataclass(frozen=True)
class Document:
    """A text with a name.

    Args:
        name: Its name, such as the path of its file.
        text: Its text. Offsets of passages and answers refer to it.
        pages: Offset of the start of each page in the text. Empty if there are no pages.
        edits: `(start, end, replacement)` of each part of the text that a reader sees otherwise,
            such as markup, in order. Passages have the text after these edits.
        headings: `(start, end, level)` of each heading in the text, in order. Level 0 is the title.
            `None` to find headings in the visible text: lines that begin with `#`, or underlined.

    Raises:
        ValueError: If edits or headings overlap, or are not in order or not within the text.

    Examples:
        >>> from keras_qa.documents import Document
        >>> Document("note.txt", "Ann left.").pages
        ()
    """

    name: str
    text: str
    pages: tuple[int, ...] = ()
    edits: Sequence[Edit] = dataclasses.field(default=(), repr=False)
    headings: Sequence[Heading] | None = dataclasses.field(default=None, repr=False)

    def __post_init__(self) -> None:
        _check_strings(self, "document", "name", "text")
        check_spans("edits", self.text, self.edits)
        check_spans("headings", self.text, self.headings or ())


@dataclasses.dataclass(frozen=True)
class Passage:
    """A passage that a search returns.

    Args:
        document: Name of its document.
        text: Text of the passage: `document_text[start:end]`, without markup if the index knows it.
        score: Relevance for the question; higher is better. Scores of different questions cannot be
            compared.
        start: Offset of its first character in the document's text.
        end: One past its last character. -1 for `start + len(text)`.
        heading: Headings above the passage, outermost first, joined by ` > `.
        line: Line of the document's text in which it starts, from 1.
        page: Page on which it starts, from 1; `None` if the document has no pages.
        pages: Offsets of the starts of the document's pages.
        source: The part of the document's text, and what is read instead of its markup. `None` if
            it is `text`.

    Examples:
        >>> from keras_qa.documents import Passage
        >>> passage = Passage("note.txt", "Ann left.", 1.0)
        >>> passage.start, passage.end, passage.line
        (0, 9, 1)
    """

    document: str
    text: str
    score: float
    start: int = 0
    end: int = -1
    heading: str = ""
    line: int = 1
    page: int | None = None
    pages: tuple[int, ...] = dataclasses.field(default=(), repr=False)
    source: VisibleText | None = dataclasses.field(default=None, repr=False)

    def __post_init__(self) -> None:
        _check_strings(self, "passage", "document", "text")
        if not isinstance(self.score, numbers.Real):
            raise TypeError(
                f"`score` of a passage must be a number. Received: {self.score!r:.80} (of type "
                f"{type(self.score).__name__})."
            )
        if self.end < 0:
            object.__setattr__(self, "end", self.start + len(self.text))

    def locate(self, start: int) -> tuple[int, int | None]:
        """Returns the line and the page, from 1, of an offset in the document's text.

        The page is `None` if the document has no pages.

        Examples:
            >>> from keras_qa.documents import Passage
            >>> Passage("a.txt", "Ann left.\\nBob stayed.", 1.0, 100, 121, line=7).locate(110)
            (8, None)
        """
        source = self.text if self.source is None else self.source.source
        return self.line + source.count("\n", 0, start - self.start), page_at(self.pages, start)

    def span(self, start: int, end: int) -> tuple[int, int]:
        """Returns the offsets in the document's text of a part of the passage, `text[start:end]`.

        Examples:
            >>> from keras_qa.documents import Passage
            >>> Passage("a.txt", "Ann left.\\nBob stayed.", 1.0, 100).span(10, 13)
            (110, 113)
        """
        if self.source is not None:
            start, end = self.source.to_source(start, end)
        return self.start + start, self.start + end


def _check_strings(record: Document | Passage, kind: str, *fields: str) -> None:
    for field in fields:
        value = getattr(record, field)
        if not isinstance(value, str):
            raise TypeError(
                f"`{field}` of a {kind} must be a string. Received: {value!r:.80} (of type "
                f"{type(value).__name__})."
            )


def page_at(pages: tuple[int, ...], start: int) -> int | None:
    """Returns the page of a character, from 1; `None` if there are no pages."""
    return max(bisect.bisect_right(pages, start), 1) if pages else None


def to_documents(documents: Iterable[Document | Mapping[str, Any]]) -> Iterator[Document]:
    """Converts the argument of `Index.add` to `Document` objects, one at a time."""
    advice = "Put it in a list; for a folder, use `update`."
    for position, entry in enumerate_records("documents", documents, Document, advice):
        if isinstance(entry, Document):
            yield entry
            continue
        if set(entry) != {"name", "text"}:
            raise ValueError(
                f"The document at position {position} must have the keys `name` and `text`. It "
                f"has: {', '.join(f'`{key}`' for key in [*entry][:5]) or 'none'}."
            )
        try:
            yield Document(entry["name"], entry["text"])
        except TypeError as error:
            raise TypeError(f"The document at position {position}: {error}") from None


class Retriever(Protocol):
    """Finds the most relevant passages for questions.

    `Index` is a retriever, and so is any object with a method `search(questions, k)`.
    `QuestionAnswerer.ask` accepts it instead of an index.

    Examples:
        >>> from keras_qa.documents import Passage
        >>> class Note:
        ...     def search(self, questions, k):
        ...         return [[Passage("note.txt", "Ann left.", score=1.0)] for _ in questions]
        >>> Note().search(["Who left?"], k=1)[0][0].document
        'note.txt'
    """

    def search(self, questions: list[str], k: int, /) -> Sequence[Sequence[Passage]]:
        """Returns for each question a list of at most `k` `Passage` objects, best first.

        A passage needs `document`, `text` and `score`; if passages are parts of a document, also
        `start`, and `line` and `page` if they are known.
        """
        ...


def retrieve(retriever: Retriever, questions: list[str], k: int) -> Sequence[Sequence[Passage]]:
    """Searches with a retriever, and checks what it returns."""
    if not callable(getattr(retriever, "search", None)):
        raise TypeError(
            "`index` must be a `documents.Index`, or have a method `search(questions, k)`. "
            f"Received: {retriever!r:.80} (of type {type(retriever).__name__})."
        )
    results = retriever.search(questions, k)
    expected = (
        f"`search` of the {type(retriever).__name__} must return a list of at most {k} `Passage` "
        "objects for each question"
    )
    if not _is_list(results) or not all(_is_list(passages) for passages in results):
        raise TypeError(f"{expected}, in a list. Received: {results!r:.80}.")
    for passage in itertools.chain.from_iterable(results):
        if not isinstance(passage, Passage):
            raise TypeError(f"{expected}. Received one of type {type(passage).__name__}.")
    counts = [len(passages) for passages in results]
    if len(counts) != len(questions) or max(counts, default=0) > k:
        raise ValueError(
            f"{expected}. Received for {len(questions)} questions lists of {counts!r:.80} passages."
        )
    return results


def _is_list(value: object) -> bool:
    return isinstance(value, (list, tuple))
