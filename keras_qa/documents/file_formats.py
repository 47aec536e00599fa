"""Reads the documents of a file: text, Markdown, reStructuredText, HTML, tables, PDF, DOCX.

PDF and DOCX are read by libraries of the extra `documents`.
"""

from __future__ import annotations

import codecs
import contextlib
import html
import itertools
import os
import pathlib
import re
import zipfile
from collections.abc import Callable, Iterator
from typing import Any

from keras_qa.data.rows import Row, csv_rows, jsonl_rows
from keras_qa.documents.document import Document
from keras_qa.documents.pdf import read_pdf

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    # Before UTF-16: the mark of UTF-32-LE begins like that of UTF-16-LE.
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_CHARSET = re.compile(rb"<(?:meta|\?xml)[^>]*?(?:charset|encoding)\s*+=[\s\"']*+([\w.:-]+)", re.I)
# Comments, declarations and tags of HTML. Each match ends at the latest with the page and never
# backtracks, so that the time is linear, unlike that of `html.parser` before Python 3.13.6.
_MARKUP = re.compile(
    r"<(?:!--(?:-?>|.*?(?:--!?>|\Z))"
    r"|(?:[!?]|/(?![a-z]))[^>]*+>?"
    r"|(/?)([a-z][^\s/>]*+)((?:[^>=]++|=\s*+(?:\"[^\"]*+\"?|'[^']*+'?)|=)*+)>?)",
    re.I | re.S,
)

# Elements of HTML whose text is not visible, and those that are blocks of text.
_HIDDEN = {"script", "style", "template", "noscript", "svg", "head", "iframe", "object"}
_NAMES = (
    "address article aside blockquote body caption dd details dialog div dl dt fieldset figcaption "
    "figure footer form header hr html li main nav ol p pre section summary table tbody tfoot "
    "thead tr ul"
)
_BLOCKS = frozenset(_NAMES.split())
_LEVELS = {f"h{level}": level for level in range(1, 7)}
# Elements whose content has no markup.
_RAW = {"script", "style", "title", "textarea", "iframe", "xmp"}

_WORD = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_SIGNS = {"tab": "\t", "ptab": "\t", "br": "\n", "cr": "\n", "noBreakHyphen": "-"}

# Maximum size of a file, except tables.
_MAX_BYTES = 2**30
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
    after its `name`, `id` or row number. In other tables each row becomes a line of one document.
    """
    read = SUFFIXES[os.path.splitext(os.fspath(path))[1].lower()]
    if read not in (_csv, _jsonl) and os.path.getsize(path) > _MAX_BYTES:
        raise ValueError("it is larger than a gigabyte")
    yield from read(pathlib.Path(path), name, encoding)


def _text(path: pathlib.Path, name: str, encoding: str | None) -> Iterator[Document]:
    yield Document(name, _decode(path.read_bytes(), encoding))


def _html(path: pathlib.Path, name: str, encoding: str | None) -> Iterator[Document]:
    raw = path.read_bytes()
    declared = _CHARSET.search(raw[:4096])
    yield Document(name, html_to_text(_decode(raw, encoding, declared and declared[1].decode())))


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
    with _translate_errors("DOCX"), zipfile.ZipFile(path) as archive:
        entries = archive.infolist()
    limit = max(_MAX_UNPACKED, min(_MAX_RATIO * os.path.getsize(path), _MAX_BYTES))
    if len(entries) > _MAX_MEMBERS or sum(entry.file_size for entry in entries) > limit:
        raise ValueError(f"it unpacks to more than {limit:,} bytes or {_MAX_MEMBERS:,} files")
    with _translate_errors("DOCX"):
        document = docx.Document(str(path))
        styles = {style.style_id: style.name or "" for style in document.styles}
        parts = []
        for item in document.element.body.iterchildren(f"{_WORD}p", f"{_WORD}tbl"):
            if item.tag == f"{_WORD}tbl":
                parts.append("\n".join(_table_rows(item)))
                continue
            text = _paragraph_text(item)
            style = item.find(f"{_WORD}pPr/{_WORD}pStyle")
            kind = "" if style is None else styles.get(style.get(f"{_WORD}val"), "")
            level = kind.removeprefix("Heading ")
            title = kind == "Title" or (level != kind and level.isdecimal())
            sign = "#" * min(int(level) if level.isdecimal() else 1, 6)
            parts.append(f"{sign} {text}" if title and text.strip() else text)
    yield Document(name, "\n\n".join(parts))


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


def _table_rows(table: Any) -> Iterator[str]:
    above: dict[int, str] = {}
    for row in table.iterchildren(f"{_WORD}tr"):
        texts: dict[int, str] = {}
        column = 0
        for cell in row.iterchildren(f"{_WORD}tc"):
            text = "\n".join(map(_paragraph_text, cell.iterchildren(f"{_WORD}p")))
            merged = cell.find(f"{_WORD}tcPr/{_WORD}vMerge")
            if merged is not None and merged.get(f"{_WORD}val") != "restart":
                repeated = above.get(column, "")
                text = repeated if len(repeated) <= _MAX_REPEATED else text
            texts[column] = text
            span = cell.find(f"{_WORD}tcPr/{_WORD}gridSpan")
            column += 1 if span is None else max(int(span.get(f"{_WORD}val")), 1)
        yield " | ".join(texts.values())
        above = texts


def _csv(path: pathlib.Path, name: str, encoding: str | None) -> Iterator[Document]:
    detected = _find_encoding(path.read_bytes(), encoding)
    delimiter = "," if path.suffix.lower() == ".csv" else "\t"
    yield from _rows(csv_rows(path, delimiter, {}, detected), name)


def _jsonl(path: pathlib.Path, name: str, encoding: str | None) -> Iterator[Document]:
    yield from _rows(jsonl_rows(path), name)


def _rows(rows: Iterator[Row], name: str) -> Iterator[Document]:
    lines: list[str] = []
    for number, (location, row) in enumerate(rows, start=1):
        text = row.get("text")
        if lines or "text" not in row:
            cells = (f"{key}: {value}" for key, value in row.items() if value not in (None, ""))
            lines.append("; ".join(" ".join(cell.split()) for cell in cells))
            continue
        if not isinstance(text, str):
            raise ValueError(f"{location}: `text` must be a string. Received: {text!r:.80}.")
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


def html_to_text(page: str) -> str:
    """Extracts the visible text of an HTML page. Headings become lines that begin with `#`."""
    text = _VisibleText()
    start = 0
    while match := _MARKUP.search(page, start):
        text.add(page[start : match.start()])
        start = match.end()
        tag, is_empty = (match[2] or "").lower(), (match[3] or "").endswith("/")
        if match[1]:
            text.end(tag)
        elif tag:
            text.start(tag)
            if is_empty:
                text.end(tag)
            elif tag in _RAW:
                end = re.compile(rf"</{tag}(?=[\s/>])|\Z", re.I).search(page, start)
                assert end is not None
                text.add(page[start : end.start()])
                start = end.start()
    text.add(page[start:])
    lines = "".join(text.parts).split("\n")
    return re.sub(r"\n{3,}", "\n\n", "\n".join(line.strip(" ") for line in lines)).strip()


class _VisibleText:
    def __init__(self) -> None:
        self.parts: list[str] = []
        self.hidden: list[str] = []
        self.pre_depth = 0

    def start(self, tag: str) -> None:
        if tag in _HIDDEN and tag not in self.hidden:
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

    def end(self, tag: str) -> None:
        if tag in self.hidden:
            del self.hidden[self.hidden.index(tag) :]
        elif tag in _LEVELS or tag in _BLOCKS:
            self.parts.append("\n" if tag in ("li", "tr", "dt", "dd") else "\n\n")
            self.pre_depth = max(self.pre_depth - (tag == "pre"), 0)

    def add(self, text: str) -> None:
        if not self.hidden:
            text = html.unescape(text)
            self.parts.append(text if self.pre_depth else re.sub(r"\s+", " ", text))


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
    **dict.fromkeys((".txt", ".text", ".md", ".markdown", ".rst"), _text),
    **dict.fromkeys((".html", ".htm", ".xhtml"), _html),
    **dict.fromkeys((".csv", ".tsv"), _csv),
    ".jsonl": _jsonl,
    ".pdf": _pdf,
    ".docx": _docx,
}
