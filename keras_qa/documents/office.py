"""Text of PDF and DOCX files, by libraries of the extra `documents`."""

from __future__ import annotations

import contextlib
import logging
import pathlib
import warnings
import zipfile
from collections.abc import Iterator

# Maximum size of an unpacked DOCX file.
_MAX_BYTES = 2**30
# Errors that the libraries raise for invalid files.
_ERRORS = (
    *(ArithmeticError, AssertionError, AttributeError, LookupError, RuntimeError, TypeError),
    *(ValueError, EOFError, zipfile.BadZipFile, SyntaxError),
)


def read_pdf(path: pathlib.Path) -> tuple[str, tuple[int, ...]]:
    """Reads a PDF file.

    Returns:
        The text, with an empty line between pages, and the offset of each page.

    Raises:
        ImportError: If `pypdf` is missing.
        ValueError: If the file is invalid, encrypted, or contains no text.
    """
    with _libraries("pypdf"):
        import pypdf
        from pypdf.errors import PyPdfError
    texts: list[str] = []
    with _quiet("pypdf"):
        try:
            with pypdf.PdfReader(path) as reader:
                if reader.is_encrypted and not reader.decrypt(""):
                    raise ValueError("it is encrypted with a password")
                texts = [page.extract_text().replace("\0", "") for page in reader.pages]
        except (PyPdfError, *_ERRORS) as error:
            raise _read_error("PDF", error) from None
    if texts and not any(text.strip() for text in texts):
        raise ValueError("its pages contain no text: they may be images")
    pages, begin = [], 0
    for text in texts:
        pages.append(begin)
        begin += len(text) + 2
    return "\n\n".join(texts), tuple(pages)


def read_docx(path: pathlib.Path) -> str:
    """Reads the paragraphs and tables of a DOCX file. Headings become lines that begin with `#`.

    Raises:
        ImportError: If `python-docx` is missing.
        ValueError: If the file is invalid, or too large when unpacked.
    """
    with _libraries("docx"):
        import docx as library
        from docx.opc.exceptions import OpcError
        from docx.table import Table
        from lxml.etree import LxmlError
    try:
        with zipfile.ZipFile(path) as archive:
            if sum(entry.file_size for entry in archive.infolist()) > _MAX_BYTES:
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
        raise _read_error("DOCX", error) from None
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
    if isinstance(error, ValueError) and message.startswith("it is"):
        return ValueError(message)
    return ValueError(f"it is not a readable {kind} file: {message or type(error).__name__}")
