"""Documents as passages: parts along headings, paragraphs and sentences."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator

from keras_qa._arguments import is_integer, short_repr
from keras_qa.documents.words import UNSPACED
from keras_qa.text import sentence_spans

# Words of a passage, and how many of them the one before has as well, about.
LENGTH, OVERLAP = 120, 24
# Headings are cut after so many characters.
_LONGEST_HEADING = 200
# Sentences are looked for in so many characters at a time: there are paragraphs of megabytes.
_BLOCK = 2**16

# A line that begins with number signs, or one with a line of marks below it.
_HEADING = re.compile(
    r"^[ ]{0,3}(?P<level>\#{1,6})[ \t]+(?P<title>\S[^\n]*)"
    r"|^(?P<lined>\S[^\n]*)\n(?P<mark>[=\-~^\"'`*+.:_\#])(?P=mark){2,}[ \t]*$",
    re.MULTILINE,
)
_FENCE = re.compile(r"^[ ]{0,3}(?:```|~~~)", re.MULTILINE)
_EMPTY_LINE = re.compile(r"\n[ \t\r\f\v]*\n")
# Two characters of a script without spaces weigh as a word.
_WORD = re.compile(rf"[{UNSPACED}]{{1,2}}|[^\s{UNSPACED}]+")


@dataclasses.dataclass(frozen=True)
class Part:
    """A passage of a text.

    Args:
        start: Where it begins, in characters.
        end: One past its last character.
        heading: The headings that it stands below, outermost first, with ` > ` between them.
    """

    start: int
    end: int
    heading: str = ""


def passages(text: str, length: int = LENGTH, overlap: int = OVERLAP) -> Iterator[Part]:
    """Cuts a text into passages, along headings, paragraphs and sentences.

    Headings are lines that begin with `#`, as in Markdown, or have a line of marks below them, as
    in reStructuredText. A passage holds whole sentences of one section, as many as fit, and its
    heading where it is the first. In scripts that write no spaces two characters count as a word.

    Args:
        text: The text.
        length: Most words of a passage. The last one of a section may have a quarter more.
        overlap: Most words that the passage before has as well, in whole sentences.

    Yields:
        `Part` objects, in the order of the text. Every letter and digit is in one at least.

    Raises:
        ValueError: If `length` is not positive, or `overlap` is negative or not below it.

    Examples:
        >>> from keras_qa.documents import passages
        >>> text = "# Ann\\nShe left. He did not.\\n\\n# Bob\\nHe stayed."
        >>> [(text[part.start : part.end], part.heading) for part in passages(text)]
        [('# Ann\\nShe left. He did not.', 'Ann'), ('# Bob\\nHe stayed.', 'Bob')]
    """
    if not is_integer(length) or not is_integer(overlap, 0) or overlap >= length:
        raise ValueError(
            "`length` must be a positive integer, and `overlap` a lower non-negative one. "
            f"Received: length={short_repr(length)}, overlap={short_repr(overlap)}."
        )
    heading = ""
    begin, body = 0, 0
    for start, end, below in [*_headings(text), (len(text), len(text), "")]:
        # Headings that follow each other without a word between them go with what comes.
        if text[body:start].strip() or (start == len(text) and begin < start):
            yield from _section(text, begin, start, heading, length, overlap)
            begin = start
        elif not heading:
            begin = start
        heading, body = below, end


def _headings(text: str) -> Iterator[tuple[int, int, str]]:
    """Where headings begin and end, each with those above it."""
    fences = [match.start() for match in _FENCE.finditer(text)]
    above: list[tuple[int, str]] = []
    marks: dict[str, int] = {}
    at = 0
    for match in _HEADING.finditer(text):
        while at < len(fences) and fences[at] < match.start():
            at += 1
        # Lines of code are no headings.
        start = match.start() if match["level"] else _title_start(match)
        if at % 2 or start is None:
            continue
        if match["level"]:
            level, title = len(match["level"]), match["title"].strip().rstrip("#")
        else:
            # Levels in the order in which their marks first come, as reStructuredText has it.
            level, title = marks.setdefault(match["mark"], len(marks) + 1), match["lined"]
        above = [entry for entry in above if entry[0] < level]
        above.append((level, title.strip()[:_LONGEST_HEADING]))
        yield start, match.end(), " > ".join(title for _, title in above)


def _title_start(match: re.Match[str]) -> int | None:
    """Where a line with marks below it begins, those above it included; `None` if it is no title.

    It stands alone, and is as long as the marks are, about.
    """
    text, start = match.string, match.start()
    above = text.rfind("\n", 0, max(start - 1, 0)) + 1
    before = text[above:start].strip()
    marks = match.end() - match.end("lined") - 1
    if (
        before.strip(match["mark"])
        or len(match["lined"].rstrip()) > marks + 2
        or not any(letter.isalnum() for letter in match["lined"])
    ):
        return None
    return above if before else start


def _section(
    text: str, begin: int, end: int, heading: str, length: int, overlap: int
) -> Iterator[Part]:
    waiting: Part | None = None
    # The sentences of the passage to come with their words, and how many were in the one before.
    held: list[tuple[int, int, int]] = []
    words = old = 0
    for start, stop, count in _sentences(text, begin, end, length):
        if held and words + count > length:
            if waiting is not None:
                yield waiting
            waiting = Part(held[0][0], held[-1][1], heading)
            words, kept = 0, len(held)
            while kept > 1 and words + held[kept - 1][2] <= min(overlap, length - count):
                kept -= 1
                words += held[kept][2]
            held, old = held[kept:], words
        held.append((start, stop, count))
        words += count
    # A few words that are left over belong to the passage before.
    if waiting is not None and words - old <= length // 4:
        yield Part(waiting.start, held[-1][1], heading)
        return
    if waiting is not None:
        yield waiting
    if held:
        yield Part(held[0][0], held[-1][1], heading)


def _sentences(text: str, begin: int, end: int, length: int) -> Iterator[tuple[int, int, int]]:
    """Sentences of a part of a text with their words; where they are too long, parts of them."""
    while begin < end:
        stop = end
        if end - begin > _BLOCK:
            cuts = (text.rfind(mark, begin, begin + _BLOCK) for mark in ("\n", " "))
            stop = next((cut + 1 for cut in cuts if cut > begin), begin + _BLOCK)
        at = begin
        for gap in [*_EMPTY_LINE.finditer(text, begin, stop), None]:
            until = stop if gap is None else gap.start()
            # A line break within a paragraph ends no sentence.
            paragraph = text[at:until].replace("\n", " ").replace("\r", " ")
            for first, last in sentence_spans(paragraph):
                yield from _within(text, at + first, at + last, length)
            at = stop if gap is None else gap.end()
        begin = stop


def _within(text: str, start: int, end: int, length: int) -> Iterator[tuple[int, int, int]]:
    """A sentence of so many words at most; a longer one line by line, or cut anywhere."""
    count = len(_WORD.findall(text, start, end))
    if count <= length // 2:
        yield start, end, count
        return
    if "\n" in text[start:end]:
        for line in re.finditer(r"\S[^\n]*", text[start:end]):
            first = start + line.start()
            yield from _within(text, first, first + len(line[0].rstrip()), length)
        return
    if count <= length:
        yield start, end, count
        return
    found = list(_WORD.finditer(text, start, end))
    # Less than an overlap each: so there is room for an overlap.
    step = max(length // 5, 1)
    for at in range(0, len(found), step):
        part = found[at : at + step]
        yield part[0].start(), part[-1].end(), len(part)
