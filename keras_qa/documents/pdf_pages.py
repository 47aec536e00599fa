"""Pages of PDF files: where parts of the text are on them, and their pictures."""

from __future__ import annotations

import ctypes
import itertools
import re
import statistics
import struct
import zlib
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from keras_qa.documents.pdf import HYPHENS, open_pdf
from keras_qa.documents.pdf_lines import Line, read_lines
from keras_qa.example import Box

if TYPE_CHECKING:
    from pypdfium2 import PdfPage, PdfTextPage

# Pixels of the longer side of a picture.
_PIXELS = 1_600
# Maximum number of lines that `read_pdf` leaves out of a page: more than it takes for headers.
_MAX_REMOVED = 20
# PDFium returns positions as integers, here on a page of this width and height.
_STEPS = 100_000
# What `read_pdf` writes before a line: white space, and the mark of a heading.
_BEFORE = re.compile(r"(\s*)(?:#{1,6} )?")


class _Path(NamedTuple):
    """The last of the lines that make up the start of a text, with its offset."""

    before: _Path | None
    offset: int
    line: Line


def find_boxes(
    content: bytes, pages: Sequence[int], text: str, start: int, end: int
) -> tuple[Box, ...]:
    """Returns a box for each line of `text[start:end]` of a PDF file.

    `pages` has the offset of each page in the text.
    """
    boxes = []
    with open_pdf(content) as pdf:
        for number, (first, last) in enumerate(itertools.pairwise([*pages, len(text)])):
            if max(start, first) >= min(end, last):
                continue
            page = pdf[number]
            lines = _align(read_lines(page, number), text[first:last])
            textpage = page.get_textpage()
            for offset, line in lines:
                low, high = (max(edge - first - offset, 0) for edge in (start, end))
                letters = zip(line.text[low:high], line.numbers[low:high], strict=True)
                characters = {character for letter, character in letters if letter != " "}
                if characters:
                    boxes.append(Box(number + 1, *_surround(page, textpage, characters)))
            textpage.close()
            page.close()
    # Text outside the visible part of a page has no area.
    return tuple(box for box in boxes if box.left < box.right and box.top < box.bottom)


def _align(lines: list[Line], text: str) -> list[tuple[int, Line]]:
    """Returns the lines of a page that make up its text, with their offsets in the text.

    `read_pdf` leaves out running headers, so that the lines do not tell which of them are in it.
    """
    middle = statistics.mean(line.baseline for line in lines) if lines else 0.0
    # By the length of the text that is made up: the number of other lines, and the path.
    paths: dict[int, tuple[int, _Path | None]] = {0: (0, None)}
    for line in lines:
        before = paths
        paths = {
            stop: (removed + 1, path)
            for stop, (removed, path) in before.items()
            if removed < _MAX_REMOVED
        }
        for stop, (removed, path) in before.items():
            for offset, end in _matches(line.text, text, stop):
                _, other = paths.get(end, (0, None))
                # Of equal lines, the outer one is the header.
                if other is None or abs(line.baseline - middle) < abs(other.line.baseline - middle):
                    paths[end] = removed, _Path(path, offset, line)
    _, last = paths.get(len(text.rstrip()), (0, None))
    aligned = []
    while last is not None:
        aligned.append((last.offset, last.line))
        last = last.before
    return aligned[::-1]


def _matches(line: str, text: str, start: int) -> Iterator[tuple[int, int]]:
    """Yields the spans of a text, after its part up to `start`, that may be those of a line."""
    match = _BEFORE.match(text, start)
    assert match is not None
    for offset in {match.end(1), match.end()}:
        if text.startswith(line, offset):
            yield offset, offset + len(line)
        # `read_pdf` leaves out a hyphen at the end of a line.
        if line[1:].endswith(HYPHENS) and text.startswith(line[:-1], offset):
            yield offset, offset + len(line) - 1


def _surround(
    page: PdfPage, textpage: PdfTextPage, characters: Iterable[int]
) -> tuple[float, float, float, float]:
    """Returns the left, top, right and bottom of characters on the visible, upright page."""
    from pypdfium2 import raw

    xs, ys = [], []
    rectangle, x, y = raw.FS_RECTF(), ctypes.c_int(), ctypes.c_int()
    for character in characters:
        raw.FPDFText_GetLooseCharBox(textpage, character, rectangle)
        for corner in (rectangle.left, rectangle.top), (rectangle.right, rectangle.bottom):
            raw.FPDF_PageToDevice(page, 0, 0, _STEPS, _STEPS, 0, *corner, x, y)
            xs.append(min(max(x.value / _STEPS, 0.0), 1.0))
            ys.append(min(max(y.value / _STEPS, 0.0), 1.0))
    return min(xs), min(ys), max(xs), max(ys)


def draw_page(content: bytes, number: int) -> bytes | None:
    """Returns a PNG file of a page of a PDF file, from 1; `None` if there is no such page."""
    with open_pdf(content) as pdf:
        if not 1 <= number <= len(pdf):
            return None
        page = pdf[number - 1]
        bitmap = page.render(_PIXELS / max(page.get_size()), rev_byteorder=True)
        pixels = bitmap.to_numpy().copy()
        bitmap.close()
        page.close()
    height, width, channels = pixels.shape
    # A row of a PNG file begins with its filter: 0 for none.
    rows = np.pad(pixels.reshape(height, width * channels), ((0, 0), (1, 0)))
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = (b"IHDR", header), (b"IDAT", zlib.compress(rows.tobytes())), (b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )
