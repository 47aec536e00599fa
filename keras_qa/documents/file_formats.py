"""Reads the documents of a file: text, Markdown, reStructuredText, HTML, tables, PDF, DOCX."""

from __future__ import annotations

import codecs
import os
import pathlib
import re
from collections.abc import Callable, Iterator

from keras_qa.documents.document import Document
from keras_qa.documents.html import html_to_text
from keras_qa.documents.office import read_docx, read_pdf
from keras_qa.files.table_files import Row, csv_rows, jsonl_rows

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    # Before UTF-16: the mark of UTF-32-LE begins like that of UTF-16-LE.
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_CHARSET = re.compile(rb"<(?:meta|\?xml)[^>]*?(?:charset|encoding)\s*=\s*[\"']?\s*([\w.:-]+)", re.I)


def read_documents(
    path: str | os.PathLike[str], name: str, encoding: str | None = None
) -> Iterator[Document]:
    """Reads the documents of a file.

    A file is one document. A table (CSV, TSV, JSON Lines) with a column `text` has one document a
    row, named `file#name` after its `name`, `id` or row number. In other tables each row becomes a
    line of one document.

    Args:
        path: The file.
        name: Name of the document.
        encoding: As in `Index.update`.

    Raises:
        ImportError: If a library for this type of file is missing.
        OSError: If the file cannot be read.
        ValueError: If the content does not match the suffix, or the encoding is unknown.
    """
    yield from SUFFIXES[os.path.splitext(os.fspath(path))[1].lower()](
        pathlib.Path(path), name, encoding
    )


def _text(path: pathlib.Path, name: str, encoding: str | None) -> Iterator[Document]:
    yield Document(name, _decode(path.read_bytes(), encoding))


def _html(path: pathlib.Path, name: str, encoding: str | None) -> Iterator[Document]:
    raw = path.read_bytes()
    declared = _CHARSET.search(raw[:4096])
    yield Document(name, html_to_text(_decode(raw, encoding, declared and declared[1].decode())))


def _pdf(path: pathlib.Path, name: str, encoding: str | None) -> Iterator[Document]:
    text, pages = read_pdf(path)
    yield Document(name, text, pages)


def _docx(path: pathlib.Path, name: str, encoding: str | None) -> Iterator[Document]:
    yield Document(name, read_docx(path))


def _csv(path: pathlib.Path, name: str, encoding: str | None) -> Iterator[Document]:
    with path.open("rb") as file:
        found = _find_encoding(file.read(), encoding)
    yield from _rows(
        csv_rows(path, "," if path.suffix.lower() == ".csv" else "\t", {}, found), name
    )


def _jsonl(path: pathlib.Path, name: str, encoding: str | None) -> Iterator[Document]:
    yield from _rows(jsonl_rows(path), name)


def _rows(rows: Iterator[Row], name: str) -> Iterator[Document]:
    lines: list[str] = []
    for number, (place, row) in enumerate(rows, start=1):
        text = row.get("text")
        if lines or "text" not in row:
            cells = (f"{key}: {value}" for key, value in row.items() if value not in (None, ""))
            lines.append("; ".join(" ".join(cell.split()) for cell in cells))
            continue
        if not isinstance(text, str):
            raise ValueError(f"{place}: `text` must be a string. Received: {text!r:.80}.")
        label = next((row[key] for key in ("name", "id") if row.get(key) not in (None, "")), number)
        yield Document(f"{name}#{label}", text)
    if lines:
        yield Document(name, "\n".join(lines))


def _decode(raw: bytes, encoding: str | None, declared: str | None = None) -> str:
    text = raw.decode(_find_encoding(raw, encoding, declared))
    if "\0" in text:
        raise ValueError("it contains zero bytes, so it is not text")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _find_encoding(raw: bytes, encoding: str | None, declared: str | None = None) -> str:
    """Returns the first encoding that works: byte order mark or UTF-8, declared, given."""
    found = [code for mark, code in _MARKS if raw.startswith(mark)][:1] or ["utf-8"]
    problem = ""
    for code in [*found, *(code for code in (declared, encoding) if code)]:
        try:
            raw.decode(code)
            return code
        except LookupError:
            continue
        except UnicodeDecodeError as error:
            problem = problem or f"byte {error.start}"
    raise ValueError(f"it is not UTF-8 at {problem}. Name its encoding with `encoding`")


_Read = Callable[[pathlib.Path, str, str | None], Iterator[Document]]

SUFFIXES: dict[str, _Read] = {
    **dict.fromkeys((".txt", ".text", ".md", ".markdown", ".rst"), _text),
    **dict.fromkeys((".html", ".htm", ".xhtml"), _html),
    **dict.fromkeys((".csv", ".tsv"), _csv),
    ".jsonl": _jsonl,
    ".pdf": _pdf,
    ".docx": _docx,
}
