"""Reads PDF files: paragraphs and headings, without running headers and page numbers."""

from __future__ import annotations

import itertools
import pathlib
import re
import statistics
import threading
from collections import Counter
from collections.abc import Iterable

from keras_qa.documents.pdf_lines import Line, read_lines

# PDFium is not thread-safe.
_LOCK = threading.Lock()
# Running headers and footers have at most so many lines.
_MARGIN = 4
# Maximum number of characters of a heading.
_MAX_HEADING = 160
# Minimum number of characters of a line that ends for the lack of room.
_MIN_LENGTH = 30
_NUMBER = re.compile(r"\d{1,9}")
_ROMAN = re.compile(r"[ivxlc]+", re.I)
_PAGE = re.compile(r"\d+|p|pg|page|pagina|página|seite|of|de|sur|von|[ivxlc]+")
_SECTION = re.compile(r"(?:\d+|[A-Z])(?:\.\d+)*\.?\s+[^\W\d_]")
_WORD = re.compile(r"[^\W\d_]+(?:-[^\W\d_]+)*")
_HYPHENS = ("-", "\u2010", "\u00ad")
_ITEM = re.compile(r"[•*–—-] |\(?(?:\d{1,3}|[A-Za-z])[.)] ")
# A line that a search would take for a heading: code, or a line of dashes.
_MARK = re.compile(r"#{1,6}\s|(\W)\1{2,}$")


def read_pdf(path: pathlib.Path) -> tuple[str, tuple[int, ...]]:
    """Returns the text of a PDF file, and the offset of the start of each page."""
    import pypdfium2

    pages = []
    with _LOCK, open(path, "rb") as file, pypdfium2.PdfDocument(file) as pdf:
        for number in range(len(pdf)):
            page = pdf[number]
            pages.append(read_lines(page, number))
            page.close()
    paragraphs = _group(_remove_margins(pages))
    _mark_headings(paragraphs)
    return _join(paragraphs, len(pages))


def _remove_margins(pages: list[list[Line]]) -> list[Line]:
    """Removes running headers and footers and page numbers.

    The first header stays if it contains words that are nowhere else in the document.
    """
    body = _body_size(itertools.chain.from_iterable(pages))
    # From the top, from the bottom, and at other angles than the text. Titles are text.
    edges: list[tuple[list[Line], ...]] = []
    for lines in pages:
        upright = [line for line in lines if line.angle == lines[0].angle]
        upright.sort(key=lambda line: -line.baseline)
        turned = [line for line in lines if line.angle != lines[0].angle]
        edges.append((upright, upright[::-1], turned))
    removed: set[Line] = set()
    for side in range(3):
        removed.update(_repeated_lines([page[side] for page in edges], body))
    shifts: Counter[int] = Counter()
    for line in removed:
        shifts.update(int(digits) - line.page for digits in _NUMBER.findall(line.text))
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


def _repeated_lines(edges: list[list[Line]], body: float) -> list[Line]:
    """Returns the outermost lines of each page that pages nearby have too."""
    repeated = []
    for number, lines in enumerate(edges):
        near = [*edges[max(number - 2, 0) : number], *edges[number + 1 : number + 3]]
        others = [line for page in near for line in page[:_MARGIN]]
        is_repeated = (
            not (
                line.size > 1.15 * body
                and line.angle == lines[0].angle
                and any(map(str.isalpha, line.text))
            )
            and any(_is_repeated(line, other) for other in others)
            for line in lines[:_MARGIN]
        )
        count = sum(itertools.takewhile(bool, is_repeated))
        # Text, such as a table with equal rows, is not separated by a gap.
        while (
            0 < count < len(lines)
            and lines[count].angle == lines[0].angle
            and (
                abs(lines[count - 1].baseline - lines[count].baseline) < 1.4 * lines[count - 1].size
            )
        ):
            count -= 1
        repeated += lines[:count]
    return repeated


def _words(line: Line) -> list[str]:
    return re.findall(r"\w+", line.text.casefold())


def _is_repeated(line: Line, other: Line) -> bool:
    """Whether two lines differ at most in the numbers of their pages."""
    if abs(line.baseline - other.baseline) > line.size:
        return False
    if _ROMAN.fullmatch(line.text) and _ROMAN.fullmatch(other.text):
        return True
    if _NUMBER.sub("0", line.text) != _NUMBER.sub("0", other.text):
        return False
    numbers, others = _NUMBER.findall(line.text), _NUMBER.findall(other.text)
    shift = other.page - line.page
    return all(int(b) - int(a) in (0, shift) for a, b in zip(numbers, others, strict=True))


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
        if (
            (before.page, before.angle, before.bold) == (line.page, line.angle, line.bold)
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
        is_large = first.size > 1.15 * body
        if (
            (is_large or (first.bold and first.size > 0.95 * body and text[-1] not in ".:,;"))
            and sum(map(str.isalpha, text)) > 2
            and len(text) <= _MAX_HEADING
            and not (is_row or "… " in text or first.angle % 90)
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
    edges: list[float] = []
    start = 0
    for stop in range(1, len(lines) + 1):
        if (
            stop < len(lines)
            and lines[stop].page == lines[start].page
            and (lines[stop].baseline < lines[stop - 1].baseline)
        ):
            continue
        rights = sorted(line.right for line in lines[start:stop])
        # A few longer lines, such as those of an abstract above columns, do not count.
        few = len(rights) // 5
        edge = max(
            (
                right
                for shorter, right in zip(rights, rights[few:], strict=False)
                if right - shorter < 2.5 * lines[start].size
            ),
            default=rights[-1],
        )
        edges += [edge] * len(rights)
        start = stop
    return edges


def _join(paragraphs: list[list[Line]], count: int) -> tuple[str, tuple[int, ...]]:
    """Joins lines; returns the text with the offset of each page."""
    lines = list(itertools.chain.from_iterable(paragraphs))
    firsts = {paragraph[0] for paragraph in paragraphs}
    # Parts of broken words are not words.
    whole = (line.text[: -len(_broken_word(line)) or None] for line in lines)
    words = Counter(word for text in whole for word in _WORD.findall(text.casefold()))
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
    return "".join(parts).replace("\u00ad", ""), tuple(offsets)


def _separator(before: Line, line: Line, edge: float, is_first: bool) -> str:
    if before.level or line.level:
        return "\n\n" if is_first else " "
    is_next = before.page == line.page and 0 < _distance(before, line) < 2
    # Lines that are full continue, also in the next column or on the next page.
    is_moved = before.page != line.page or before.baseline < line.baseline
    width = (line.right - line.left) / len(line.text)
    if (
        len(before.text) >= _MIN_LENGTH
        and max(before.cells, line.cells) == 1
        and "… " not in before.text
        and not _ITEM.match(line.text)
        and edge - before.right < width * (len(line.text.split(" ", 1)[0]) + 1)
        and (not is_first or (is_moved and line.text[0].islower() and _is_same_size(before, line)))
    ):
        return " "
    # A value stays with its label.
    return "\n" if not is_first or (is_next and before.text.endswith(":")) else "\n\n"


def _broken_word(line: Line) -> str:
    """Returns the beginning of a word at the end of a line, with its hyphen."""
    word = line.text.rsplit(" ", 1)[-1]
    return word if word[-1:] in _HYPHENS and word[-2:-1].isalpha() else ""


def _join_word(before: Line, line: Line, words: Counter[str]) -> str | None:
    """Returns a broken word without the hyphen, or with it; `None` if the word is complete."""
    broken = _broken_word(before)
    start, hyphen = broken[:-1].casefold(), broken[-1:]
    match = _WORD.match(line.text)
    if not broken or not line.text[0].isalnum():
        return None
    if match is None or not line.text[0].islower():
        return broken
    end = match[0].casefold()
    joined, compound = words[start + end], words[f"{start}-{end}"]
    is_compound = compound > joined or (
        not joined
        and ("-" in start or (min(len(start), len(end)) > 2 and words[start] and words[end]))
    )
    return broken if is_compound and hyphen != "\u00ad" else broken[:-1]
