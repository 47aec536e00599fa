"""Reads the documents of a file: text, Markdown, reStructuredText, HTML, tables, PDF, DOCX.

PDF and DOCX are read by libraries of the extra `documents`.
"""

from __future__ import annotations

import codecs
import contextlib
import itertools
import logging
import os
import pathlib
import re
import warnings
import zipfile
from collections.abc import Callable, Iterator
from html.parser import HTMLParser

from keras_qa.documents.document import Document
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

# Elements of HTML whose text is not visible, and those that are blocks of text.
_HIDDEN = {"script", "style", "template", "noscript", "svg", "head", "iframe", "object"}
_NAMES = (
    "address article aside blockquote body caption dd details dialog div dl dt fieldset figcaption "
    "figure footer form header hr html li main nav ol p pre section summary table tbody tfoot "
    "thead tr ul"
)
_BLOCKS = frozenset(_NAMES.split())
_LEVELS = {f"h{level}": level for level in range(1, 7)}

# Maximum size of an unpacked DOCX file.
_MAX_BYTES = 2**30
# Errors that the libraries raise for invalid files.
_ERRORS = (
    *(ArithmeticError, AssertionError, AttributeError, LookupError, RuntimeError, TypeError),
    *(ValueError, EOFError, zipfile.BadZipFile, SyntaxError),
)


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
    with _libraries("pypdf"):
        import pypdf
        from pypdf.errors import PyPdfError
    texts: list[str] = []
    with _quiet("pypdf"):
        try:
            with pypdf.PdfReader(path) as reader:
                is_locked = reader.is_encrypted and not reader.decrypt("")
                if not is_locked:
                    texts = [page.extract_text().replace("\0", "") for page in reader.pages]
        except (PyPdfError, *_ERRORS) as error:
            raise _read_error("PDF", error) from None
    if is_locked:
        raise ValueError("it is encrypted with a password")
    if texts and not any(text.strip() for text in texts):
        raise ValueError("its pages contain no text: they may be images")
    # An empty line between pages.
    begins = [0, *itertools.accumulate(len(text) + 2 for text in texts[:-1])]
    yield Document(name, "\n\n".join(texts), tuple(begins[: len(texts)]))


def _docx(path: pathlib.Path, name: str, encoding: str | None) -> Iterator[Document]:
    with _libraries("python-docx"):
        import docx
        from docx.opc.exceptions import OpcError
        from docx.table import Table
        from lxml.etree import LxmlError
    parts = []
    try:
        with zipfile.ZipFile(path) as archive:
            size = sum(entry.file_size for entry in archive.infolist())
        items = docx.Document(str(path)).iter_inner_content() if size <= _MAX_BYTES else ()
        for item in items:
            if isinstance(item, Table):
                parts += ["\n".join(" | ".join(c.text for c in row.cells) for row in item.rows)]
                continue
            kind = (item.style.name or "") if item.style is not None else ""
            level = kind.removeprefix("Heading ")
            title = kind == "Title" or (level != kind and level.isdecimal())
            sign = "#" * min(int(level) if level.isdecimal() else 1, 6)
            parts.append(f"{sign} {item.text}" if title and item.text.strip() else item.text)
    except (OpcError, LxmlError, *_ERRORS) as error:
        raise _read_error("DOCX", error) from None
    if size > _MAX_BYTES:
        raise ValueError("it is larger than a gigabyte unpacked")
    yield Document(name, "\n\n".join(parts))


def _csv(path: pathlib.Path, name: str, encoding: str | None) -> Iterator[Document]:
    found = _find_encoding(path.read_bytes(), encoding)
    delimiter = "," if path.suffix.lower() == ".csv" else "\t"
    yield from _rows(csv_rows(path, delimiter, {}, found), name)


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


def html_to_text(page: str) -> str:
    """Extracts the visible text of an HTML page. Headings become lines that begin with `#`."""
    parser = _Parser()
    parser.feed(page)
    parser.close()
    text = "".join(parser.parts)
    return re.sub(r"\n{3,}", "\n\n", re.sub(r" *\n *", "\n", text)).strip()


class _Parser(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self.hidden: list[str] = []
        self.pre_depth = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _HIDDEN:
            self.hidden.append(tag)
        elif tag == "body":
            # `</head>` may be missing.
            self.hidden = []
        if tag in _LEVELS:
            self.parts.append(f"\n\n{'#' * _LEVELS[tag]} ")
        elif tag in _BLOCKS:
            self.parts.append("\n" if tag in ("li", "tr", "dt", "dd") else "\n\n")
            self.pre_depth += tag == "pre"
        elif tag == "br":
            self.parts.append("\n")
        elif tag in ("td", "th"):
            self.parts.append(" ")

    def handle_endtag(self, tag: str) -> None:
        if tag in self.hidden:
            del self.hidden[self.hidden.index(tag) :]
        elif tag in _LEVELS or tag in _BLOCKS:
            self.parts.append("\n" if tag in ("li", "tr", "dt", "dd") else "\n\n")
            self.pre_depth = max(self.pre_depth - (tag == "pre"), 0)

    def handle_data(self, data: str) -> None:
        if not self.hidden:
            self.parts.append(data if self.pre_depth else re.sub(r"\s+", " ", data))


@contextlib.contextmanager
def _libraries(name: str) -> Iterator[None]:
    try:
        yield
    except ImportError:
        raise ImportError(
            f'reading it needs {name}. Install it with `pip install "keras-qa[documents]"`'
        ) from None


@contextlib.contextmanager
def _quiet(name: str) -> Iterator[None]:
    """Silences the log and the warnings of a library, which may print parts of the file."""
    logger, silence = logging.getLogger(name), logging.NullHandler()
    before = logger.propagate
    logger.addHandler(silence)
    logger.propagate = False
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.propagate = before
        logger.removeHandler(silence)


def _read_error(kind: str, error: BaseException) -> ValueError:
    message = " ".join(str(error).split())[:200]
    return ValueError(f"it is not a readable {kind} file: {message or type(error).__name__}")


_Read = Callable[[pathlib.Path, str, str | None], Iterator[Document]]

SUFFIXES: dict[str, _Read] = {
    **dict.fromkeys((".txt", ".text", ".md", ".markdown", ".rst"), _text),
    **dict.fromkeys((".html", ".htm", ".xhtml"), _html),
    **dict.fromkeys((".csv", ".tsv"), _csv),
    ".jsonl": _jsonl,
    ".pdf": _pdf,
    ".docx": _docx,
}
