"""`VisibleText`: a text as a reader sees it, without markup, with offsets into its source."""

from __future__ import annotations

import bisect
import json
import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple, TypeAlias

# `source[start:end]` is read as the string.
Edit: TypeAlias = tuple[int, int, str]


# Maximum number of characters of the name of a column, which is read in each row.
MAX_LABEL = 80
_BEFORE_LABEL = re.compile(r"^\s+(?=[;:] )")
_AFTER_LABEL = re.compile(r"(?<=[;:])\s+\Z")
# Consecutive lines that are not empty, the begin of one without an indent, and the begin of a
# field, such as `Status: Final`.
_BLOCK = re.compile(r"(?:^[^\S\n]*+\S[^\n]*+\n?+)++", re.M)
_LINE = re.compile(r"^\S", re.M)
_FIELD = re.compile(r"[*_]{0,3}\w[\w /-]{0,39}[*_]{0,3}:[*_]{0,3}(?:\s|$)")


class Heading(NamedTuple):
    """A heading `text[start:end]` of a level from 1; level 0 is the title of a document."""

    start: int
    end: int
    level: int

    def seen_in(self, visible: VisibleText) -> Heading:
        """Returns the heading with the offsets of its visible text."""
        first, last = visible.to_visible(self.start), visible.to_visible(self.end, is_end=True)
        title = visible.text[first:last]
        first += len(title) - len(title.lstrip())
        return Heading(first, first + len(title.strip()), self.level)


class VisibleText:
    """A text with edits that replace its markup, as editors describe changes.

    Args:
        source: The text with its markup.
        edits: `(start, end, replacement)` of each change, in order.

    Attributes:
        text: The text after the edits.
    """

    def __init__(self, source: str, edits: Sequence[Edit] = ()) -> None:
        self.source, self.edits = source, edits
        parts: list[str] = []
        # Of each edit, the offsets of its replacement in the visible text.
        self._begins: list[int] = []
        self._ends: list[int] = []
        position = size = 0
        for start, end, replacement in edits:
            parts += source[position:start], replacement
            self._begins.append(size := size + start - position)
            self._ends.append(size := size + len(replacement))
            position = end
        self.text = "".join([*parts, source[position:]]) if parts else source

    def to_source(self, start: int, end: int) -> tuple[int, int]:
        """Returns the span of the source that is read as `text[start:end]`."""
        first = self._origin(start)[0]
        return first, self._origin(end - 1)[1] if end > start else first

    def to_visible(self, offset: int, is_end: bool = False) -> int:
        """Returns the offset in the visible text of a start, or end, of a span of the source."""
        find = bisect.bisect_left if is_end else bisect.bisect_right
        number = find(self.edits, offset, key=lambda edit: edit[0]) - 1
        if number < 0:
            return offset
        after = offset - self.edits[number][1]
        if is_end and after < 0:
            return self._begins[number]
        return self._ends[number] + max(after, 0)

    def _origin(self, offset: int) -> tuple[int, int]:
        """Returns the span of the source that a visible character stands for."""
        number = bisect.bisect_right(self._begins, offset) - 1
        if number < 0:
            return offset, offset + 1
        if offset < self._ends[number]:
            return self.edits[number][:2]
        start = self.edits[number][1] + offset - self._ends[number]
        return start, start + 1


def visible_part(source: str, edits: Sequence[Edit], start: int) -> VisibleText:
    """Returns the visible text of a part of a document, which begins at an offset."""
    first = bisect.bisect_left(edits, start, key=lambda edit: edit[0])
    last = bisect.bisect_left(edits, start + len(source), key=lambda edit: edit[0])
    moved = [(low - start, high - start, new) for low, high, new in edits[first:last]]
    return VisibleText(source, moved)


def check_spans(name: str, text: str, spans: Iterable[Edit | Heading]) -> None:
    """Raises a `ValueError` unless spans are in order, without overlap, and within a text."""
    position = 0
    for number, (start, end, _) in enumerate(spans):
        if not position <= start <= end <= len(text):
            raise ValueError(
                f"`{name}` of a document must be in order, without overlap, and within its text of "
                f"{len(text)} characters. Received at position {number}: ({start}, {end})."
            )
        position = end


def encode_markup(edits: Sequence[Edit], headings: Sequence[Heading] | None) -> bytes | None:
    """Returns edits and headings as they are stored, or `None` if there are none."""
    if not edits and headings is None:
        return None
    return json.dumps([edits, headings], separators=(",", ":")).encode()


def decode_edits(raw: bytes | None) -> list[Edit]:
    """Returns the edits that `encode_markup` stored."""
    return [] if raw is None else [tuple(edit) for edit in json.loads(raw)[0]]


def without_overlap(edits: Iterable[Edit]) -> list[Edit]:
    """Sorts edits, and joins those that overlap."""
    result: list[Edit] = []
    for start, end, replacement in sorted(edits, key=lambda edit: (edit[0], -edit[1])):
        if result and start < result[-1][1]:
            first, last, before = result[-1]
            result[-1] = (first, max(last, end), before)
        else:
            result.append((start, end, replacement))
    return result


def tidy(text: str, edits: Iterable[Edit], keep_indents: bool = True) -> tuple[Edit, ...]:
    """Joins edits with the white space around them, of which at most one empty line remains."""
    merged: list[tuple[int, int, list[str]]] = []
    for start, end, replacement in edits:
        if merged:
            first, before, parts = merged[-1]
            between = text[before:start]
            # Two rows of a table that are both replaced stay apart.
            is_apart = replacement.strip() and "".join(parts).strip()
            if not is_apart and (not between or between.isspace()):
                parts += between, replacement
                merged[-1] = first, end, parts
                continue
        merged.append((start, end, [replacement]))
    result: list[Edit] = []
    low = 0
    for number, (start, end, parts) in enumerate(merged):
        high = merged[number + 1][0] if number + 1 < len(merged) else len(text)
        first, last = start, end
        while first > low and text[first - 1].isspace():
            first -= 1
        while last < high and text[last].isspace():
            last += 1
        replacement = _squeeze("".join([text[first:start], *parts, text[end:last]]), keep_indents)
        # The label of a cell of a table stands between two cells on a line.
        replacement = _AFTER_LABEL.sub(" ", _BEFORE_LABEL.sub("", replacement))
        if first == 0:
            replacement = replacement.lstrip()
        if last == len(text):
            replacement = replacement.rstrip()
        label = replacement.lstrip()
        if label and "\n" in replacement[: -len(label)]:
            # A passage may begin with the label, or end with it.
            middle = min(first + 1, last)
            result.append((first, middle, replacement[: -len(label)]))
            result.append((middle, last, label))
        elif replacement != text[first:last]:
            result.append((first, last, replacement))
        low = last
    return tuple(result)


def _squeeze(text: str, keep_indents: bool) -> str:
    """Shortens runs of spaces and of empty lines, and removes indents, or keeps that at the end."""
    first, *lines = text.split("\n")
    first = _single_spaces(first)
    if not lines:
        return first
    kept = [first.rstrip()]
    for line in lines[:-1]:
        line = " ".join(line.split())
        # The first line is the rest of a line of text.
        if line or len(kept) == 1 or kept[-1]:
            kept.append(line)
    last = lines[-1]
    if not (keep_indents and last.isspace()):
        last = _single_spaces(last).lstrip()
    return "\n".join([*kept, last])


def _single_spaces(line: str) -> str:
    words = " ".join(line.split())
    before = " " if line[:1].isspace() else ""
    after = " " if line[-1:].isspace() and words else ""
    return before + words + after


def field_edits(text: str, start: int = 0, end: int | None = None) -> list[Edit]:
    """Returns the edits that end the fields of the headers in a part of a text.

    A header is a block of at least two lines `Name: value`, which may go on in indented lines.
    """
    edits: list[Edit] = []
    for block in _BLOCK.finditer(text, start, len(text) if end is None else end):
        begins = [block.start() + match.start() for match in _LINE.finditer(block[0])]
        if len(begins) > 1 and all(_FIELD.match(text, begin) for begin in begins):
            edits += [end_unit(begin, ".") for begin in begins[1:]]
    return edits


def end_unit(begin: int, mark: str = "") -> Edit:
    """Returns the edit that ends a field or an item before the line that begins at an offset.

    No answer crosses an empty line. A field also ends with a point, since a reader sees no lines.
    """
    return (begin - 1, begin, f"{mark}\n\n")


class Lines:
    """Where the lines of a block of text stand in a source, which may have marks before them."""

    def __init__(self, content: str, starts: Iterable[int]) -> None:
        self.starts = [*starts]
        self.offsets, offset = [], 0
        for line in content.split("\n"):
            self.offsets.append(offset + len(line) - len(line.lstrip()))
            offset += len(line) + 1

    def locate(self, offset: int) -> int:
        """Returns the offset in the source of a character of the block."""
        line = max(bisect.bisect_right(self.offsets, offset) - 1, 0)
        return self.starts[line] + max(offset - self.offsets[line], 0)


def row_text(cells: Sequence[str], columns: Sequence[str] = ()) -> str:
    """Returns a row of a table as it is read, with the names of its columns."""
    return "".join(
        label + cell for label, cell in zip(cell_labels(cells, columns), cells, strict=True)
    )


def cell_labels(cells: Sequence[str], columns: Sequence[str] = ()) -> list[str]:
    """Returns what is read before each cell of a row of a table, so that it names its column.

    A row becomes `Column: cell; Column: cell`, and without names of columns
    `cell; cell`, or `cell: cell` if it has two.
    """
    labels, is_first = [], True
    for number, cell in enumerate(cells):
        column = columns[number].strip()[:MAX_LABEL] if number < len(columns) else ""
        mark = ": " if len(cells) == 2 and not any(columns) else "; "
        label = ("" if is_first else mark) + (f"{column}: " if column else "")
        labels.append(label if cell.strip() else "")
        is_first = is_first and not cell.strip()
    return labels
