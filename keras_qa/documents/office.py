"""The text of PDF and DOCX files, by libraries that come with the extra `documents`."""

from __future__ import annotations

import contextlib
import logging
import pathlib
import warnings
import zipfile
from collections.abc import Iterator

# What a DOCX file may hold unpacked.
_MOST_BYTES = 2**30
# What parsers raise at files that are not what they should be.
_ERRORS = (
    *(ArithmeticError, AssertionError, AttributeError, LookupError, RuntimeError, TypeError),
    *(ValueError, EOFError, zipfile.BadZipFile, SyntaxError),
)


def pdf(path: pathlib.Path) -> tuple[str, tuple[int, ...]]:
    """The text of a PDF file.

    Args:
        path: The file.

    Returns:
        The text, pages with an empty line between them; and where each page begins.

    Raises:
        ImportError: If `pypdf` is missing.
        ValueError: If it is no PDF file, is locked, or holds no text.
    """
    with _libraries("pypdf"):
        import pypdf
        from pypdf.errors import PyPdfError
    texts: list[str] = []
    with _quiet("pypdf"):
        try:
            with pypdf.PdfReader(path) as reader:
                if reader.is_encrypted and not reader.decrypt(""):
                    raise ValueError("it is locked by a password")
                texts = [page.extract_text().replace("\0", "") for page in reader.pages]
        except (PyPdfError, *_ERRORS) as error:
            raise _no("PDF", error) from None
    if texts and not any(text.strip() for text in texts):
        raise ValueError("its pages hold no text: they may be pictures")
    pages, begin = [], 0
    for text in texts:
        pages.append(begin)
        begin += len(text) + 2
    return "\n\n".join(texts), tuple(pages)


def docx(path: pathlib.Path) -> str:
    """The text of a DOCX file.

    Args:
        path: The file.

    Returns:
        Its paragraphs and tables. Headings are lines that begin with `#`.

    Raises:
        ImportError: If `python-docx` is missing.
        ValueError: If it is no DOCX file, or too large unpacked.
    """
    with _libraries("docx"):
        import docx as library
        from docx.opc.exceptions import OpcError
        from docx.table import Table
        from lxml.etree import LxmlError
    try:
        with zipfile.ZipFile(path) as archive:
            if sum(entry.file_size for entry in archive.infolist()) > _MOST_BYTES:
                raise ValueError("it is larger than a gigabyte unpacked")
        parts = []
        for item in library.Document(str(path)).iter_inner_content():
            if isinstance(item, Table):
                parts += ["\n".join(" | ".join(c.text for c in row.cells) for row in item.rows)]
            else:
                kind = (item.style.name or "") if item.style is not None else ""
                level = kind.removeprefix("Heading ")
                title = kind == "Title" or (level != kind and level.isdecimal())
                sign = "#" * min(int(level) if level.isdecimal() else 1, 6)
                parts.append(f"{sign} {item.text}" if title and item.text.strip() else item.text)
    except (OpcError, LxmlError, *_ERRORS) as error:
        raise _no("DOCX", error) from None
    return "\n\n".join(parts)


@contextlib.contextmanager
def _libraries(module: str) -> Iterator[None]:
    try:
        yield
    except ImportError:
        name = {"pypdf": "pypdf", "docx": "python-docx"}[module]
        raise ImportError(
            f'reading it needs {name}. Install it with `pip install "keras-qa[documents]"`'
        ) from None


@contextlib.contextmanager
def _quiet(name: str) -> Iterator[None]:
    """What a library has to say of a file stays out of the terminal: it may quote it."""
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


def _no(kind: str, error: BaseException) -> ValueError:
    said = " ".join(str(error).split())[:200]
    if isinstance(error, ValueError) and said.startswith("it is"):
        return ValueError(said)
    return ValueError(f"it is no {kind} file that can be read: {said or type(error).__name__}")
