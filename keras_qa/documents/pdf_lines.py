"""Reads the lines of a page of a PDF file in reading order.

PDFium gives characters with positions. Its own lines and spaces are not used: they are wrong on
pages that browsers print, whose vertical axis points downwards.
"""

from __future__ import annotations

import ctypes
import dataclasses
import itertools
import math
import re
import statistics
import unicodedata
from array import array
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from pypdfium2 import PdfPage

# Gaps between characters, in font sizes: a wider one is a space, or separates cells or columns.
# The first is for spaces that PDFium found too.
_LIKELY_SPACE, _SPACE, _CELL = 0.08, 0.17, 1.2
# Maximum space between letters of a word.
_MAX_SPACING = 0.3
_MAX_COLUMNS = 5
_BOLD = re.compile(rb"bold|black|heavy|demi|medi\b|CMBX|CMSSBX|SFBX", re.I)
_LEADERS = re.compile(r"(?<!\s)\s*+(?:[.·…_]\s?){4,}+\s*+")
_SOFT_HYPHEN = "\u00ad"
_RIGHT_TO_LEFT = re.compile("[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc]")
_COMPATIBLE = (*range(0xFB00, 0xFB07), *range(0x1D400, 0x1D800))
_CHARACTERS = {
    # What PDFium has for hyphens at the end of a line.
    **dict.fromkeys((0x02, 0xFFFE), "-"),
    # Ligatures, and letters of formulas.
    **{code: unicodedata.normalize("NFKC", chr(code)) for code in _COMPATIBLE},
    # Bullets of TeX, Wingdings and Symbol.
    **dict.fromkeys((0x88, 0xF0A7, 0xF0B7), "•"),
}
_SUPERSCRIPTS = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")


@dataclasses.dataclass(eq=False, slots=True)
class Line:
    """A line of a page, or a piece of one. Positions are in points, from the bottom left."""

    text: str
    left: float
    right: float
    baseline: float
    size: float
    # Of the text, in degrees. The positions are those of the page turned by it.
    angle: int
    bold: bool
    page: int
    # For each character of the text, the number on the page of the one that it stands for.
    numbers: array[int]
    cells: int = 1
    # Level of a heading, from 1.
    level: int = 0


class _Character(NamedTuple):
    text: str
    left: float
    right: float
    baseline: float
    size: float
    angle: int
    # Gap from which on a space is before it.
    space: float
    position: int


def read_lines(page: PdfPage, number: int) -> list[Line]:
    """Returns the lines of a page in reading order."""
    from pypdfium2 import raw

    textpage = page.get_textpage()
    pieces = list(_read_pieces(raw, textpage, number))
    textpage.close()
    lengths: Counter[int] = Counter()
    for piece in pieces:
        lengths[piece.angle] += len(piece.text)
    lines: list[Line] = []
    # Text along the margins follows the text of the page.
    for angle, _ in lengths.most_common():
        rows: list[list[Line]] = []
        for piece in pieces:
            if piece.angle != angle:
                continue
            if rows and abs(rows[-1][0].baseline - piece.baseline) < 0.4 * piece.size:
                rows[-1].append(piece)
            else:
                rows.append([piece])
        lines += map(_join_row, _order_columns(rows))
    return lines


def _read_characters(raw: Any, textpage: Any) -> Iterator[_Character]:
    box, matrix = raw.FS_RECTF(), raw.FS_MATRIX()
    x, y = ctypes.c_double(), ctypes.c_double()
    height: tuple[float, float] | None = None
    size = angle = cosine = sine = 0.0
    space = _SPACE
    surrogate = 0xD800
    for index in range(raw.FPDFText_CountChars(textpage)):
        code = raw.FPDFText_GetUnicode(textpage, index)
        if 0xD800 <= code < 0xDC00:
            surrogate = code
            continue
        if 0xDC00 <= code < 0xE000:
            code += 0x10000 - 0xDC00 + (surrogate - 0xD800) * 0x400
        text = _CHARACTERS.get(code) or chr(code)
        if text.isspace():
            is_generated = raw.FPDFText_IsGenerated(textpage, index) == 1
            if not is_generated or text == " ":
                space = _LIKELY_SPACE if is_generated else -math.inf
            continue
        if not text.isprintable() and text != _SOFT_HYPHEN:
            continue
        raw.FPDFText_GetLooseCharBox(textpage, index, box)
        raw.FPDFText_GetCharOrigin(textpage, index, x, y)
        if height != (box.top, box.bottom):
            height = box.top, box.bottom
            raw.FPDFText_GetMatrix(textpage, index, matrix)
            size = raw.FPDFText_GetFontSize(textpage, index) * math.hypot(matrix.c, matrix.d)
            size = max(size, 0.1)
            angle = math.atan2(matrix.b, matrix.a)
            cosine, sine = math.cos(angle), math.sin(angle)
        left, baseline = x.value * cosine + y.value * sine, y.value * cosine - x.value * sine
        if abs(sine) < 0.1:
            width = box.right - box.left
        else:
            # The box is no use for the width of diagonal text.
            width = box.top - box.bottom if abs(cosine) < 0.1 else 0.7 * size
        if not math.isfinite(left + width + baseline + size):
            continue
        degrees = round(math.degrees(angle))
        yield _Character(text, left, left + width, baseline, size, degrees, space, index)
        space = _SPACE


def _read_pieces(raw: Any, textpage: Any, page: int) -> Iterator[Line]:
    """Yields lines, and parts of lines with wide gaps between them, in the order of the file."""
    characters: list[_Character] = []
    texts: list[str] = []
    gaps: list[float] = []
    baseline = size = 0.0
    for character in _read_characters(raw, textpage):
        largest = max(size, character.size)
        if characters:
            before = characters[-1]
            # In text from right to left, the character is left of the one before.
            gap = max(character.left - before.right, before.left - character.right)
            if (
                character.angle != before.angle
                or abs(character.baseline - baseline) > 0.6 * largest
                or gap > _CELL * largest
            ):
                yield _make_piece(raw, textpage, characters, texts, gaps, baseline, page)
                characters, texts, gaps, size = [], [], [], 0.0
            else:
                gaps.append(gap / character.size)
        if character.size > 1.15 * size:
            if characters and baseline - character.baseline > 0.2 * character.size:
                # The raised number of a footnote before its text.
                texts = [text.translate(_SUPERSCRIPTS) for text in texts]
            baseline, size = character.baseline, character.size
        is_raised = character.size < 0.85 * size and character.baseline - baseline > 0.2 * size
        texts.append(character.text.translate(_SUPERSCRIPTS) if is_raised else character.text)
        characters.append(character)
    if characters:
        yield _make_piece(raw, textpage, characters, texts, gaps, baseline, page)


def _make_piece(
    raw: Any,
    textpage: Any,
    characters: list[_Character],
    texts: list[str],
    gaps: list[float],
    baseline: float,
    page: int,
) -> Line:
    neighbours = itertools.pairwise(characters)
    inner = [
        gap
        for gap, (before, after) in zip(gaps, neighbours, strict=True)
        if before.text.isalpha() and after.text.isalpha()
    ]
    # Letters may be spaced, as in listings of TeX.
    spacing = statistics.median(inner) if len(inner) >= 8 else 0.0
    spacing = spacing if 0 < spacing < _MAX_SPACING else 0.0
    for index, gap in enumerate(gaps, start=1):
        if gap > characters[index].space + spacing:
            texts[index] = " " + texts[index]
    name, flags = ctypes.create_string_buffer(128), ctypes.c_int()
    fonts = []
    for character in characters[:: len(characters) // 8 + 1]:
        raw.FPDFText_GetFontInfo(textpage, character.position, name, len(name), flags)
        fonts.append(_BOLD.search(name.value) is not None)
    pairs = zip(texts, characters, strict=True)
    numbers = (character.position for text, character in pairs for _ in text)
    return Line(
        "".join(texts),
        min(character.left for character in characters),
        max(character.right for character in characters),
        baseline,
        statistics.mode(round(character.size, 1) for character in characters),
        characters[0].angle,
        # A heading may contain code in another font.
        fonts[0] and sum(fonts) >= len(fonts) / 2,
        page,
        array("I", numbers),
    )


def _join_row(pieces: list[Line]) -> Line:
    if not any(_RIGHT_TO_LEFT.search(piece.text) for piece in pieces):
        pieces = sorted(pieces, key=lambda piece: piece.left)
    text = " ".join(piece.text for piece in pieces)
    numbers = array("I")
    for piece in pieces:
        # The space between two pieces has the number of what follows.
        numbers += piece.numbers[:1] + piece.numbers
    del numbers[0]
    text, numbers = _shorten_leaders(text, numbers)
    if _SOFT_HYPHEN in text[:-1]:
        # A soft hyphen is visible at the end of a line alone.
        kept = [letter != _SOFT_HYPHEN for letter in text[:-1]] + [True]
        text = "".join(itertools.compress(text, kept))
        numbers = array("I", itertools.compress(numbers, kept))
    return dataclasses.replace(
        max(pieces, key=lambda piece: len(piece.text)),
        text=text,
        left=min(piece.left for piece in pieces),
        right=max(piece.right for piece in pieces),
        bold=all(piece.bold for piece in pieces),
        numbers=numbers,
        cells=len(pieces),
    )


def _shorten_leaders(text: str, numbers: array[int]) -> tuple[str, array[int]]:
    kept, last = array("I"), 0
    for match in _LEADERS.finditer(text):
        # A match has at least four characters, and its replacement three.
        kept += numbers[last : match.start() + 3]
        last = match.end()
    kept += numbers[last:]
    text = _LEADERS.sub(" … ", text)
    start, stripped = len(text) - len(text.lstrip()), text.strip()
    return stripped, kept[start : start + len(stripped)]


def _order_columns(rows: list[list[Line]], depth: int = 0) -> list[list[Line]]:
    """Orders rows that go through two columns of text: the left column first."""
    ordered: list[list[Line]] = []
    start = 0
    while start < len(rows):
        pieces = sorted(rows[start], key=lambda piece: piece.left)
        splits = [
            _split(rows, start, before.right, after.left)
            for before, after in itertools.pairwise(pieces[:_MAX_COLUMNS])
        ]
        left, right, stop = max(splits, key=lambda split: split[2], default=([], [], start + 1))
        if _is_column(left) and _is_column(right) and depth < _MAX_COLUMNS:
            ordered += [*left, *_order_columns(right, depth + 1)]
        else:
            ordered += rows[start:stop]
        start = stop
    return ordered


def _split(
    rows: list[list[Line]], start: int, low: float, high: float
) -> tuple[list[list[Line]], list[list[Line]], int]:
    """Splits rows at a gap that they share, up to a row that crosses it or is far below."""
    left: list[list[Line]] = []
    right: list[list[Line]] = []
    baseline = rows[start][0].baseline
    for stop in range(start, len(rows)):
        row = rows[stop]
        center = low + high
        before = [piece for piece in row if piece.left + piece.right < center]
        after = [piece for piece in row if piece.left + piece.right >= center]
        low = max([low, *(piece.right for piece in before)])
        high = min([high, *(piece.left for piece in after)])
        size = row[0].size
        if high - low < 0.5 * size or not -size < baseline - row[0].baseline < 2.2 * size:
            return left, right, max(stop, start + 1)
        baseline = row[0].baseline
        left += [before] if before else []
        right += [after] if after else []
    return left, right, len(rows)


def _is_column(rows: list[list[Line]]) -> bool:
    """Whether rows are lines of text that fill a column, unlike the cells of a table."""
    if len(rows) < 4:
        return False
    width = max(row[-1].right for row in rows) - min(row[0].left for row in rows)
    return (
        statistics.mean(sum(len(piece.text) for piece in row) for row in rows) >= 20
        and statistics.median(row[-1].right - row[0].left for row in rows) > 0.6 * width
    )
