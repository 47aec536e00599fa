"""A document, and a passage of one that was found."""

from __future__ import annotations

import bisect
import dataclasses
import numbers
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from keras_qa.example import frame_rows, is_frame


@dataclasses.dataclass(frozen=True)
class Document:
    """A text with a name.

    Args:
        name: What it is called, such as the path of its file.
        text: Its text. Offsets of passages and answers count in it.
        pages: Where each page begins in the text, where there are pages.

    Raises:
        TypeError: If the name or the text is no string.

    Examples:
        >>> from keras_qa.documents import Document
        >>> Document("note.txt", "Ann left.").pages
        ()
    """

    name: str
    text: str
    pages: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        _check_strings(self, "document", "name", "text")


@dataclasses.dataclass(frozen=True)
class Hit:
    """A passage that was found.

    Args:
        document: The name of its document.
        text: The passage: what the document says from `start` to `end`.
        score: How well it fits the question; more is better. By BM25; where vectors count too,
            between 0 and 1, see `Index.search`. Comparable for one question alone.
        start: Where it begins in the document's text, in characters.
        end: One past its last character. -1 for where the passage ends that begins at `start`.
        heading: The headings that it stands below, outermost first, with ` > ` between them.
        line: The line of the document's text that it begins in, from 1.
        page: The page that it begins on, from 1, or `None` where there are no pages.
        pages: Where pages begin in the document's text.

    Raises:
        TypeError: If the document's name or the text is no string, or the score no number.

    Examples:
        >>> from keras_qa.documents import Hit
        >>> hit = Hit("note.txt", "Ann left.", 1.0)
        >>> hit.start, hit.end, hit.line
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

    def __post_init__(self) -> None:
        _check_strings(self, "hit", "document", "text")
        if not isinstance(self.score, numbers.Real):
            raise TypeError(
                f"`score` of a hit must be a number. Received: {self.score!r:.80} (of type "
                f"{type(self.score).__name__})."
            )
        if self.end < 0:
            object.__setattr__(self, "end", self.start + len(self.text))

    def place(self, start: int) -> tuple[int, int | None]:
        """The line and the page of a character of the passage.

        Args:
            start: Its offset in the document's text.

        Returns:
            Both from 1; the page is `None` where there are none.

        Examples:
            >>> from keras_qa.documents import Hit
            >>> Hit("a.txt", "Ann left.\\nBob stayed.", 1.0, 100, 121, line=7).place(110)
            (8, None)
        """
        return self.line + self.text.count("\n", 0, start - self.start), page(self.pages, start)


def _check_strings(record: Document | Hit, kind: str, *fields: str) -> None:
    for field in fields:
        value = getattr(record, field)
        if not isinstance(value, str):
            raise TypeError(
                f"`{field}` of a {kind} must be a string. Received: {value!r:.80} (of type "
                f"{type(value).__name__})."
            )


def page(pages: tuple[int, ...], start: int) -> int | None:
    """The page of a character, from 1; or `None` where there are no pages."""
    return max(bisect.bisect_right(pages, start), 1) if pages else None


def to_documents(documents: Iterable[Document | Mapping[str, Any]]) -> Iterator[Document]:
    """Turns mappings with the keys `name` and `text` into documents, as they are asked for.

    Args:
        documents: An iterable of `Document` objects or of such mappings, or a pandas or polars
            DataFrame with these two columns.

    Yields:
        `Document` objects, in the same order.

    Raises:
        TypeError: If an entry is neither, or a name or a text is no string.
        ValueError: If a key is missing or unknown.
    """
    if isinstance(documents, (str, bytes, Mapping, Document)):
        raise TypeError(
            f"`documents` must be a list of documents. Received one {type(documents).__name__}. "
            "Put it in a list; for a folder, use `update`."
        )
    if is_frame(documents):
        documents = frame_rows(documents)
    for position, entry in enumerate(documents):
        if isinstance(entry, Document):
            yield entry
            continue
        if not isinstance(entry, Mapping):
            raise TypeError(
                "`documents` must hold `Document` objects or mappings. Received a "
                f"{type(entry).__name__} at position {position}."
            )
        if set(entry) != {"name", "text"}:
            raise ValueError(
                f"The document at position {position} must have the keys `name` and `text`. It "
                f"has: {', '.join(f'`{key}`' for key in [*entry][:5]) or 'none'}."
            )
        try:
            yield Document(entry["name"], entry["text"])
        except TypeError as error:
            raise TypeError(f"The document at position {position}: {error}") from None
