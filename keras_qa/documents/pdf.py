"""Reads PDF files: paragraphs and headings, without running headers and page numbers."""

from __future__ import annotations

import contextlib
import itertools
import math
import pathlib
import re
import statistics
import threading
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, BinaryIO

from keras_qa.data.files import open_regular
from keras_qa.documents.full_text import UNSPACED
from keras_qa.documents.pdf_lines import Line, read_lines

if TYPE_CHECKING:
    from pypdfium2 import PdfDocument

# PDFium is not thread-safe.
_LOCK = threading.Lock()
# Running headers and footers have at most so many lines.
_MARGIN = 4
# Maximum number of characters of a heading.
_MAX_HEADING = 160
# Minimum number of characters of a line that ends for the lack of room.
_MIN_LENGTH = 30
# The lines before and after a line that show how long the lines of its column are.
_NEAR = 12
_NUMBER = re.compile(r"\d{1,9}")
_ROMAN = re.compile(r"^[ivxlc]+(?= |$)|(?<= )[ivxlc]+$")
_PAGE = re.compile(r"\d+|p|pg|page|pagina|página|seite|of|de|sur|von")
_SECTION = re.compile(r"(?:\d+|[A-Z])(?:\.\d+)*\.?\s+[^\W\d_]")
_WORD = re.compile(r"[^\W\d_]+(?:-[^\W\d_]+)*")
HYPHENS = ("-", "\u2010", "\u00ad")
_UNSPACED = re.compile(f"[{UNSPACED}\u3000-\u303f\uff00-\uffef]")
_ITEM = re.compile(r"[•*–—-] |[⁰¹²³⁴⁵⁶⁷⁸⁹]|\(?(?:\d{1,3}|[A-Za-z])[.)] ")
# Lines that would be read as headings or as the borders of code.
_MARK = re.compile(r"#{1,6}\s|```|~~~|(\W)\1{2,}$")


def read_pdf(path: pathlib.Path) -> tuple[str, tuple[int, ...]]:
    """Returns the text of a PDF file, and the offset of the start of each page."""
    pages = []
    with open(path, "rb", opener=open_regular) as file, open_pdf(file) as pdf:
        for number in range(len(pdf)):
            page = pdf[number]
            pages.append(read_lines(page, number))
            page.close()
    paragraphs = _group(_remove_margins(pages))
    _mark_headings(paragraphs)
    return _join(paragraphs, len(pages))


@contextlib.contextmanager
def open_pdf(content: bytes | BinaryIO) -> Iterator[PdfDocument]:
    """Opens a PDF file. No other thread opens one in the block."""
    try:
        import pypdfium2
    except ImportError:
        raise ImportError(
            "A PDF file needs the package pypdfium2. Install it with "
            '`pip install "keras-qa[documents]"`.'
        ) from None
    with _LOCK, pypdfium2.PdfDocument(content) as pdf:
        yield pdf


def _remove_margins(pages: list[list[Line]]) -> list[Line]:
    """Removes running headers and footers and page numbers.

    The first header stays if it contains words that are nowhere else in the document.
    """
    body = _body_size(itertools.chain.from_iterable(pages))
    # Lines from the top, from the bottom, and at other angles than the text. Titles are text.
    edges: list[tuple[list[Line], ...]] = []
    for lines in pages:
        upright = [line for line in lines if line.angle == lines[0].angle]
        upright.sort(key=lambda line: -line.baseline)
        turned = [line for line in lines if line.angle != lines[0].angle]
        edges.append((upright, upright[::-1], turned))
    removed: set[Line] = set()
    for side, limit in enumerate((1.15 * body, 1.15 * body, math.inf)):
        removed.update(_repeated_lines([page[side] for page in edges], limit))
    shifts: Counter[int] = Counter()
    for line in removed:
        shifts.update(int(word) - line.page for word in _words(line) if _NUMBER.fullmatch(word))
    (shift, count), *_ = [*shifts.most_common(1), (0, 0)]
    heights = Counter(round(line.baseline) for line in removed)
    for line in (lines[0] for page in edges for lines in page[:2] if lines and count > 2):
        words = line.text.split()
        # The number of the page, alone or in a header that no other page has.
        if str(line.page + shift) in (words[0], words[-1]) and (
            len(words) == 1 or heights[round(line.baseline)] > 2
        ):
            removed.add(line)
    kept = [line for lines in pages for line in lines if line not in removed]
    known = {word for line in kept for word in _words(line)}
    for line in (line for lines in pages for line in lines if line in removed):
        new = {*_words(line)} - known - {str(line.page + shift)}
        if not all(map(_PAGE.fullmatch, new)):
            removed.discard(line)
            known |= new
    return [line for lines in pages for line in lines if line not in removed]


def _repeated_lines(edges: list[list[Line]], limit: float) -> list[Line]:
    """Returns the outermost lines of each page that pages nearby have too."""
    repeated = []
    for number, lines in enumerate(edges):
        near = [*edges[max(number - 2, 0) : number], *edges[number + 1 : number + 3]]
        others = [line for page in near for line in page[:_MARGIN]]
        is_repeated = (
            (line.size <= limit or not any(map(str.isalpha, line.text)))
            and any(_is_repeated(line, other) for other in others)
            for line in lines[:_MARGIN]
        )
        count = sum(itertools.takewhile(bool, is_repeated))
        # Text, such as a table with equal rows, is not separated by a gap.
        while 0 < count < len(lines) and -1.4 < _distance(lines[count - 1], lines[count]) < 1.4:
            count -= 1
        repeated += lines[:count]
    return repeated


def _words(line: Line) -> list[str]:
    return re.findall(r"\w+", _ROMAN.sub(_arabic, line.text).casefold())


def _arabic(numeral: re.Match[str]) -> str:
    values = [{"i": 1, "v": 5, "x": 10, "l": 50, "c": 100}[letter] for letter in numeral[0]]
    pairs = itertools.zip_longest(values, values[1:], fillvalue=0)
    return str(sum(-value if value < after else value for value, after in pairs))


def _is_repeated(line: Line, other: Line) -> bool:
    """Whether two lines differ at most in the numbers of their pages."""
    if abs(line.baseline - other.baseline) > line.size:
        return False
    text, other_text = (_ROMAN.sub(_arabic, entry.text) for entry in (line, other))
    if _NUMBER.sub("0", text) != _NUMBER.sub("0", other_text):
        return False
    pairs = zip(_NUMBER.findall(text), _NUMBER.findall(other_text), strict=True)
    shift = other.page - line.page
    return all(int(after) - int(before) in (0, shift) for before, after in pairs)


def _body_size(lines: Iterable[Line]) -> float:
    lengths: Counter[float] = Counter()
    for line in lines:
        lengths[line.size] += len(line.text)
    return max(lengths, key=lengths.__getitem__, default=0.0)


def _group(lines: list[Line]) -> list[list[Line]]:
    """Groups lines into paragraphs: lines of one font without a gap between them."""
    spacings: dict[tuple[int, int], list[float]] = {}
    for before, line in itertools.pairwise(lines):
        if before.page == line.page and 0.8 < (distance := _distance(before, line)) < 2.5:
            spacings.setdefault((line.page, round(line.size)), []).append(distance)
    spacing = {key: statistics.median(values) for key, values in spacings.items()}
    paragraphs = [lines[:1]] if lines else []
    for before, line in itertools.pairwise(lines):
        # A bold line is a heading below the end of a sentence, or above other text.
        is_end = paragraphs[-1][0].bold if before.bold else before.text[-1] in ".:;!?"
        if (
            (before.page, before.angle) == (line.page, line.angle)
            and not (before.bold != line.bold and is_end)
            and _is_same_size(before, line)
            and 0 < _distance(before, line) < 1.25 * spacing.get((line.page, round(line.size)), 0)
        ):
            paragraphs[-1].append(line)
        else:
            paragraphs.append([line])
    return paragraphs


def _distance(before: Line, line: Line) -> float:
    return (before.baseline - line.baseline) / line.size


def _is_same_size(before: Line, line: Line) -> bool:
    return abs(before.size - line.size) < 0.15 * line.size


def _mark_headings(paragraphs: list[list[Line]]) -> None:
    """Sets the level of short paragraphs in a large or bold font."""
    body = _body_size(itertools.chain.from_iterable(paragraphs))
    lengths: Counter[tuple[int, bool]] = Counter()
    candidates: dict[tuple[int, bool], list[list[Line]]] = {}
    for paragraph in paragraphs:
        first, text = paragraph[0], " ".join(line.text for line in paragraph)
        font = round(first.size), first.bold
        lengths[font] += len(text)
        # The number of a section may be apart from its title, as the cells of a table are.
        is_row = first.cells > 1 and (text[-1].isdecimal() or not _SECTION.match(text))
        is_sentence = text[-1] in ".:,;。；：，" and first.size < 1.3 * body
        if (
            (first.size > 1.15 * body or (first.bold and first.size > 0.88 * body))
            and sum(map(str.isalpha, text)) > 2
            and len(text) <= _MAX_HEADING
            and not (is_row or is_sentence or "… " in text or first.angle % 90)
        ):
            candidates.setdefault(font, []).append(paragraph)
    fonts = []
    for font, headings in candidates.items():
        length = sum(len(line.text) for paragraph in headings for line in paragraph)
        # Their font has little other text. In a form, bold text is most of the text.
        if 0.5 * lengths[font] < length < 0.3 * lengths.total():
            fonts.append(font)
    for level, font in enumerate(sorted(fonts, reverse=True), start=1):
        for line in itertools.chain.from_iterable(candidates[font]):
            line.level = min(level, 6)


def _find_edges(lines: list[Line]) -> list[float]:
    """Returns for each line the position at which the lines of its column end."""
    starts = [
        index
        for index, (before, line) in enumerate(itertools.pairwise(lines), start=1)
        if before.page != line.page or before.baseline <= line.baseline
    ]
    edges: list[float] = []
    for start, stop in itertools.pairwise([0, *starts, len(lines)]):
        for index in range(start, stop):
            near = lines[max(index - _NEAR, start) : min(index + _NEAR, stop)]
            rights = sorted(line.right for line in near)
            # Fewer longer lines, such as those of an abstract above columns, do not count.
            few = 3 * len(rights) // 10
            edge = max(
                (
                    right
                    for shorter, right in zip(rights, rights[few:], strict=False)
                    if right - shorter < 2.5 * lines[index].size
                ),
                default=rights[-1],
            )
            edges.append(edge)
    return edges


def _join(paragraphs: list[list[Line]], count: int) -> tuple[str, tuple[int, ...]]:
    """Joins lines; returns the text with the offset of each page."""
    lines = list(itertools.chain.from_iterable(paragraphs))
    firsts = {paragraph[0] for paragraph in paragraphs}
    words = _count_words(lines)
    edges = _find_edges(lines)
    parts: list[str] = []
    offsets: list[int] = []
    length = 0
    for index, line in enumerate(lines):
        separator = ""
        if index:
            before = lines[index - 1]
            separator = _separator(before, line, edges[index - 1], line in firsts)
            if len(separator) == 1 and (end := _join_word(before, line, words)) is not None:
                length += len(end) - len(_broken_word(before))
                parts[-1] = parts[-1].removesuffix(_broken_word(before)) + end
                separator = ""
        text = line.text
        if line.level and line in firsts:
            text = f"{'#' * line.level} {text}"
        elif _MARK.match(text):
            # Not a heading: four spaces mark code.
            text = f"    {text}"
        parts += [separator, text]
        offsets += [length + len(separator)] * (line.page + 1 - len(offsets))
        length += len(separator) + len(text)
    offsets += [length] * (count - len(offsets))
    return "".join(parts), tuple(offsets)


def _separator(before: Line, line: Line, edge: float, is_first: bool) -> str:
    is_unspaced = _UNSPACED.match(before.text[-1]) and _UNSPACED.match(line.text)
    space = "" if is_unspaced else " "
    if before.level or line.level:
        return "\n\n" if is_first else space
    is_next = before.page == line.page and 0 < _distance(before, line) < 2
    # Lines that are full continue, also in the next column or on the next page.
    is_moved = before.page != line.page or before.baseline < line.baseline
    word = 1 if is_unspaced else len(line.text.split(" ", 1)[0]) + 1
    if (
        len(before.text) >= (_MIN_LENGTH // 2 if is_unspaced else _MIN_LENGTH)
        and max(before.cells, line.cells) == 1
        and "… " not in before.text
        and not _ITEM.match(line.text)
        and edge - before.right < word * (line.right - line.left) / len(line.text)
        and (not is_first or (is_moved and line.text[0].islower() and _is_same_size(before, line)))
    ):
        return space
    # A value stays with its label.
    return "\n" if not is_first or (is_next and before.text.endswith(":")) else "\n\n"


def _broken_word(line: Line) -> str:
    """Returns the beginning of a word at the end of a line, with its hyphen."""
    word = line.text.rsplit(" ", 1)[-1]
    return word if word[-1:] in HYPHENS and word[-2:-1].isalpha() else ""


def _count_words(lines: list[Line]) -> Counter[str]:
    """Counts the words of a document, without the parts of broken words."""
    words: Counter[str] = Counter()
    start = ""
    for line in lines:
        text = line.text.partition(" ")[2] if start else line.text
        start = _broken_word(line)
        words.update(_WORD.findall(text.removesuffix(start).casefold()))
    return words


def _join_word(before: Line, line: Line, words: Counter[str]) -> str | None:
    """Returns a broken word without the hyphen, or with it; `None` if the word is complete."""
    broken = _broken_word(before)
    if not broken or not line.text[0].isalnum():
        return None
    start = _WORD.findall(broken.casefold())[-1]
    match = _WORD.match(line.text.casefold())
    end = match[0] if match else ""
    joined, compound = words[start + end], words[f"{start}-{end}"]
    if broken[-1] == "\u00ad" or joined > compound:
        return broken[:-1]
    # Two words of the document, as in "user-defined", are a compound.
    are_words = min(len(start), len(end)) > 2 and words[start] and words[end]
    if compound or are_words or "-" in start or not line.text[0].islower():
        return broken
    return broken[:-1]
