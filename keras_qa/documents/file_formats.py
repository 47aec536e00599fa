"""Reads the documents of a file: text, Markdown, reStructuredText, HTML, tables, PDF, DOCX.

Markdown, reStructuredText, PDF and DOCX are read by libraries of the extra `documents`.
"""

from __future__ import annotations

import bisect
import codecs
import contextlib
import io
import itertools
import os
import pathlib
import re
import zipfile
from collections.abc import Callable, Iterator
from typing import Any

from keras_qa.data.files import open_regular
from keras_qa.data.rows import Row, csv_rows, jsonl_rows
from keras_qa.documents.document import Document
from keras_qa.documents.html_text import read_html
from keras_qa.documents.markdown import read_markdown
from keras_qa.documents.pdf import read_pdf
from keras_qa.documents.restructured_text import is_restructured_text, read_restructured_text
from keras_qa.documents.visible_text import MAX_LABEL, Heading, field_edits, row_text

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    # Before UTF-16: the mark of UTF-32-LE begins like that of UTF-16-LE.
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_CHARSET = re.compile(rb"<(?:meta|\?xml)[^<>]*?(?:charset|encoding)\s*+=[\s\"']*+([\w.:-]+)", re.I)
_WORD = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_SIGNS = {"tab": "\t", "ptab": "\t", "br": "\n", "cr": "\n", "noBreakHyphen": "-"}

# Maximum size of a file, except tables.
MAX_BYTES = 2**30
# A DOCX file may unpack to this size, or to so many times its own.
_MAX_UNPACKED = 2**25
_MAX_RATIO = 50
_MAX_MEMBERS = 10_000
# Maximum length of a merged cell that is repeated in each of its rows.
_MAX_REPEATED = 200


def read_documents(
    path: str | os.PathLike[str], name: str, encoding: str | None = None
) -> Iterator[Document]:
    """Reads the documents of a file, of which most are one document.

    A table (CSV, TSV, JSON Lines) with a column `text` has one document a row, named `file#name`
    after its `name`, `id` or row number. In other tables, each row becomes a paragraph.
    """
    read = SUFFIXES[os.path.splitext(name)[1].lower()]
    if read not in (_csv, _jsonl) and os.path.getsize(path) > MAX_BYTES:
        raise ValueError("it is larger than a gigabyte")
    yield from read(pathlib.Path(path), name, encoding)


def _read_bytes(path: pathlib.Path) -> bytes:
    with open(path, "rb", opener=open_regular) as file:
        return file.read()


def _text(path: pathlib.Path, name: str, encoding: str | None) -> Iterator[Document]:
    text = _decode(_read_bytes(path), encoding)
    # Some projects, such as Django, name their reStructuredText so.
    if is_restructured_text(text):
        yield _restructured_document(name, text)
    else:
        yield Document(name, text, edits=tuple(field_edits(text)))


def _markdown(path: pathlib.Path, name: str, encoding: str | None) -> Iterator[Document]:
    text = _decode(_read_bytes(path), encoding)
    with _libraries("markdown-it-py"):
        yield Document(name, text, (), *read_markdown(text))


def _restructured(path: pathlib.Path, name: str, encoding: str | None) -> Iterator[Document]:
    yield _restructured_document(name, _decode(_read_bytes(path), encoding))


def _restructured_document(name: str, text: str) -> Document:
    with _libraries("docutils"):
        import docutils.core  # noqa: F401
    with _translate_errors("reStructuredText"):
        return Document(name, text, (), *read_restructured_text(text))


def _html(path: pathlib.Path, name: str, encoding: str | None) -> Iterator[Document]:
    raw = _read_bytes(path)
    declared = _CHARSET.search(raw[:4096])
    text, headings = read_html(_decode(raw, encoding, declared and declared[1].decode()))
    yield Document(name, text, headings=headings)


def _pdf(path: pathlib.Path, name: str, encoding: str | None) -> Iterator[Document]:
    with _libraries("pypdfium2"):
        import pypdfium2
    try:
        text, pages = read_pdf(path)
    except pypdfium2.PdfiumError as error:
        if error.err_code == pypdfium2.raw.FPDF_ERR_PASSWORD:
            raise ValueError("it is encrypted with a password") from None
        raise ValueError(f"it is not a readable PDF file: {error}") from error
    if pages and not text:
        raise ValueError("its pages contain no text: they may be images")
    yield Document(name, text, pages)


def _docx(path: pathlib.Path, name: str, encoding: str | None) -> Iterator[Document]:
    with _libraries("python-docx"):
        import docx
    content = _read_bytes(path)
    with _translate_errors("DOCX"), zipfile.ZipFile(io.BytesIO(content)) as archive:
        entries = archive.infolist()
    limit = max(_MAX_UNPACKED, min(_MAX_RATIO * len(content), MAX_BYTES))
    if len(entries) > _MAX_MEMBERS or sum(entry.file_size for entry in entries) > limit:
        raise ValueError(f"it unpacks to more than {limit:,} bytes or {_MAX_MEMBERS:,} files")
    with _translate_errors("DOCX"):
        document = docx.Document(io.BytesIO(content))
        styles = {style.style_id: style.name or "" for style in document.styles}
        parts: list[str] = []
        headings, size = [], 0
        for item in document.element.body.iterchildren(f"{_WORD}p", f"{_WORD}tbl"):
            if item.tag == f"{_WORD}tbl":
                part = "\n\n".join(_row_texts(list(_table_rows(item))))
            else:
                part = _paragraph_text(item).strip()
            # At most one empty line.
            part = re.sub(r"\n\s*\n", "\n\n", part)
            if not part:
                continue
            parts.append(part)
            size += len(part) + 2
            style = item.find(f"{_WORD}pPr/{_WORD}pStyle")
            kind = "" if style is None else styles.get(style.get(f"{_WORD}val"), "")
            level = "0" if kind == "Title" else kind.removeprefix("Heading ")
            if level != kind and level.isdecimal():
                headings.append(Heading(size - len(part) - 2, size - 2, int(level)))
    yield Document(name, "\n\n".join(parts), headings=headings)


# Not `Paragraph.text` and `_Row.cells` of python-docx 1.2: their time is quadratic in the number
# of runs and of merged rows, and they repeat a cell for each column that it claims to span.
def _paragraph_text(paragraph: Any) -> str:
    parts = []
    for child in paragraph.iterchildren(f"{_WORD}r", f"{_WORD}hyperlink"):
        runs = [child] if child.tag == f"{_WORD}r" else child.iterchildren(f"{_WORD}r")
        for part in itertools.chain.from_iterable(runs):
            if part.tag == f"{_WORD}t":
                parts.append(part.text or "")
            elif part.get(f"{_WORD}type") not in ("page", "column"):
                parts.append(_SIGNS.get(str(part.tag).removeprefix(_WORD), ""))
    return "".join(parts)


def _table_rows(table: Any) -> Iterator[dict[int, str]]:
    """Yields the texts of the cells of each row by their columns."""
    above: dict[int, str] = {}
    for row in table.iterchildren(f"{_WORD}tr"):
        texts: dict[int, str] = {}
        column = 0
        for cell in row.iterchildren(f"{_WORD}tc"):
            text = " ".join(map(_paragraph_text, cell.iterchildren(f"{_WORD}p")))
            merged = cell.find(f"{_WORD}tcPr/{_WORD}vMerge")
            if merged is not None and merged.get(f"{_WORD}val") != "restart":
                repeated = above.get(column, "")
                text = repeated if len(repeated) <= _MAX_REPEATED else text
            texts[column] = " ".join(text.split())
            span = cell.find(f"{_WORD}tcPr/{_WORD}gridSpan")
            column += 1 if span is None else max(int(span.get(f"{_WORD}val")), 1)
        yield texts
        above = texts


def _row_texts(rows: list[dict[int, str]]) -> Iterator[str]:
    """Yields a line for each row. The first row names the columns, if there are more than two."""
    header = rows.pop(0) if len(rows) > 1 and len(rows[0]) > 2 else {}
    begins = list(header)
    for row in rows:
        # A header may be merged over several columns.
        columns = [header[begins[bisect.bisect(begins, at) - 1]] if header else "" for at in row]
        line = row_text(list(row.values()), columns)
        if line:
            yield line


def _csv(path: pathlib.Path, name: str, encoding: str | None) -> Iterator[Document]:
    detected = _find_encoding(_read_bytes(path), encoding)
    delimiter = "," if name.lower().endswith(".csv") else "\t"
    yield from _rows(csv_rows(path, delimiter, {}, detected, open_regular), name)


def _jsonl(path: pathlib.Path, name: str, encoding: str | None) -> Iterator[Document]:
    yield from _rows(jsonl_rows(path, opener=open_regular), name)


def _rows(rows: Iterator[Row], name: str) -> Iterator[Document]:
    lines: list[str] = []
    for number, (location, row) in enumerate(rows, start=1):
        text = row.get("text")
        if lines or "text" not in row:
            cells = (
                f"{key.strip()[:MAX_LABEL]}: {value}"
                for key, value in row.items()
                if value not in (None, "")
            )
            lines.append("; ".join(" ".join(cell.split()) for cell in cells))
            continue
        if not isinstance(text, str):
            raise ValueError(f"{location}: `text` must be a string. Received: {text!r:.80}.")
        label = next((row[key] for key in ("name", "id") if row.get(key) not in (None, "")), number)
        yield Document(f"{name}#{label}", text)
    if lines:
        yield Document(name, "\n\n".join(lines))


def _decode(raw: bytes, encoding: str | None, declared: str | None = None) -> str:
    text = raw.decode(_find_encoding(raw, encoding, declared))
    if "\0" in text:
        raise ValueError("it contains zero bytes, so it is not text")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _find_encoding(raw: bytes, encoding: str | None, declared: str | None = None) -> str:
    """Returns the first encoding that works: byte order mark or UTF-8, declared, given."""
    candidates = [code for mark, code in _MARKS if raw.startswith(mark)][:1] or ["utf-8"]
    problem = ""
    for code in [*candidates, *(code for code in (declared, encoding) if code)]:
        try:
            raw.decode(code)
            return code
        except LookupError:
            continue
        except UnicodeDecodeError as error:
            problem = problem or f"byte {error.start}"
    raise ValueError(f"it is not UTF-8 at {problem}. Name its encoding with `encoding`")


@contextlib.contextmanager
def _libraries(name: str) -> Iterator[None]:
    try:
        yield
    except ImportError:
        raise ImportError(
            f'reading it needs {name}. Install it with `pip install "keras-qa[documents]"`'
        ) from None


@contextlib.contextmanager
def _translate_errors(kind: str) -> Iterator[None]:
    try:
        yield
    # For a damaged file the libraries raise errors of any type, such as `zlib.error`.
    except Exception as error:
        message = " ".join(str(error).split())[:200] or type(error).__name__
        raise ValueError(f"it is not a readable {kind} file: {message}") from error


_Read = Callable[[pathlib.Path, str, str | None], Iterator[Document]]

SUFFIXES: dict[str, _Read] = {
    **dict.fromkeys((".txt", ".text"), _text),
    **dict.fromkeys((".md", ".markdown"), _markdown),
    **dict.fromkeys((".html", ".htm", ".xhtml"), _html),
    **dict.fromkeys((".csv", ".tsv"), _csv),
    ".rst": _restructured,
    ".jsonl": _jsonl,
    ".pdf": _pdf,
    ".docx": _docx,
}
