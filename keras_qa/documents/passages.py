"""Splits documents into passages at headings, paragraphs and sentences, and encodes both."""

from __future__ import annotations

import dataclasses
import itertools
import re
import struct
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from keras_qa.documents import storage
from keras_qa.documents.document import Document
from keras_qa.documents.full_text import UNSPACED, split_unspaced
from keras_qa.documents.visible_text import Heading, VisibleText, encode_markup, visible_part
from keras_qa.text.sentence_splitting import sentence_spans

# Maximum number of words of a passage, and of words shared with the passage before.
LENGTH, OVERLAP = 120, 24
# Maximum number of characters of a heading.
_MAX_HEADING = 200
# Characters split into sentences at a time, because a paragraph can have megabytes.
_BLOCK = 2**16

# A line that begins with `#`, or a line underlined with punctuation marks.
_HEADING = re.compile(
    r"^[ ]{0,3}(?P<level>\#{1,6})[ \t]+(?P<title>\S[^\n]*)"
    r"|^(?P<lined>\S[^\n]*)\n(?P<mark>[=\-~^\"'`*+.:_\#])(?P=mark){2,}[ \t]*$",
    re.MULTILINE,
)
_FENCE = re.compile(r"^[ ]{0,3}(?:```|~~~)", re.MULTILINE)
_EMPTY_LINE = re.compile(r"\n[ \t\r\f\v]*\n")
# In scripts without spaces, two characters count as a word.
_WORD = re.compile(rf"[{UNSPACED}]{{1,2}}|[^\s{UNSPACED}]+")


class Part(NamedTuple):
    """A passage of a text, with the headings above it, outermost first, joined by ` > `."""

    start: int
    end: int
    heading: str = ""


def passages(
    text: str,
    length: int = LENGTH,
    overlap: int = OVERLAP,
    headings: Iterable[Heading] | None = None,
) -> Iterator[Part]:
    """Splits a text into passages of whole sentences of one section.

    A passage has up to `length` words and a short rest of the section, of which it shares up to
    `overlap` with the passage before. Without `headings`, they are lines with `#`, or underlined.
    A short text below the title of a document, such as a header, belongs to the next section.
    """
    heading, level = "", 1
    begin, body = 0, 0
    if headings is None:
        titles = _find_headings(text)
    else:
        titles = ((start, end, level, text[start:end]) for start, end, level in headings)
    for start, end, next_level, below in [*_paths(titles), (len(text), len(text), 0, "")]:
        # Consecutive headings without text between them belong to the section that follows.
        shortest = length // 4 if level == 0 else 0
        is_last = start == len(text) and begin < start
        if is_last or _has_more_words(text, body, start, shortest):
            yield from _section(text, begin, start, heading, length, overlap)
            begin = start
        elif not heading and not _has_more_words(text, body, start, 0):
            begin = start
        heading, level, body = below, next_level, end


def _has_more_words(text: str, start: int, end: int, count: int) -> bool:
    words = itertools.islice(_WORD.finditer(text, start, end), count + 1)
    return sum(1 for _ in words) > count


def _paths(titles: Iterable[tuple[int, int, int, str]]) -> Iterator[tuple[int, int, int, str]]:
    """Yields `(start, end, level, heading)` of headings, each joined with those above it."""
    above: list[tuple[int, str]] = []
    for start, end, level, title in titles:
        above = [entry for entry in above if entry[0] < level]
        above.append((level, " ".join(title.split())[:_MAX_HEADING]))
        # A page often repeats its title as the first heading.
        path = dict.fromkeys(title for _, title in above if title)
        yield start, end, level, " > ".join(path)


def _find_headings(text: str) -> Iterator[tuple[int, int, int, str]]:
    """Yields `(start, end, level, title)` of each heading."""
    fences = [match.start() for match in _FENCE.finditer(text)]
    marks: dict[str, int] = {}
    at = 0
    for match in _HEADING.finditer(text):
        while at < len(fences) and fences[at] < match.start():
            at += 1
        # An odd number of fences before it: this line is code.
        start = match.start() if match["level"] else _title_start(match)
        if at % 2 or start is None:
            continue
        if match["level"]:
            level, title = len(match["level"]), match["title"].strip().rstrip("#")
        else:
            # In reStructuredText, the order in which marks first occur defines their levels.
            level, title = marks.setdefault(match["mark"], len(marks) + 1), match["lined"]
        yield start, match.end(), level, title


def _title_start(match: re.Match[str]) -> int | None:
    """Returns the start of an underlined title, or of its overline; `None` if it is not a title."""
    # A title is a line on its own, and at most two characters longer than the marks.
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
    # Sentences of the next passage with their word counts, and the words shared with the last one.
    pending: list[tuple[int, int, int]] = []
    words = shared = 0
    for start, stop, count in _sentences(text, begin, end, length):
        if pending and words + count > length:
            if waiting is not None:
                yield waiting
            waiting = Part(pending[0][0], pending[-1][1], heading)
            words, first = 0, len(pending)
            while first > 1 and words + pending[first - 1][2] <= min(overlap, length - count):
                first -= 1
                words += pending[first][2]
            pending, shared = pending[first:], words
        pending.append((start, stop, count))
        words += count
    # Append a short remainder to the last passage.
    if waiting is not None and words - shared <= length // 4:
        yield Part(waiting.start, pending[-1][1], heading)
        return
    if waiting is not None:
        yield waiting
    if pending:
        yield Part(pending[0][0], pending[-1][1], heading)


def _sentences(text: str, begin: int, end: int, length: int) -> Iterator[tuple[int, int, int]]:
    """Yields `(start, end, words)` of the sentences, and of parts of long sentences."""
    while begin < end:
        stop = end
        if end - begin > _BLOCK:
            cuts = (text.rfind(mark, begin, begin + _BLOCK) for mark in ("\n", " "))
            stop = next((cut + 1 for cut in cuts if cut > begin), begin + _BLOCK)
        at = begin
        for gap in [*_EMPTY_LINE.finditer(text, begin, stop), None]:
            until = stop if gap is None else gap.start()
            # A line break within a paragraph does not end a sentence.
            paragraph = text[at:until].replace("\n", " ").replace("\r", " ")
            for first, last in sentence_spans(paragraph):
                yield from _within(text, at + first, at + last, length)
            at = stop if gap is None else gap.end()
        begin = stop


def _within(text: str, start: int, end: int, length: int) -> Iterator[tuple[int, int, int]]:
    """Yields a sentence of at most `length` words; splits a longer one at lines or words."""
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
    words = list(_WORD.finditer(text, start, end))
    # Parts shorter than an overlap, so that passages can share whole parts.
    step = max(length // 5, 1)
    for at in range(0, len(words), step):
        part = words[at : at + step]
        yield part[0].start(), part[-1].end(), len(part)


class EncodedPassage(NamedTuple):
    """A passage: its columns, its text with headings, and this text as it is indexed."""

    start: int
    stop: int
    line: int
    heading: bytes
    text: str
    words: str


@dataclasses.dataclass
class EncodedDocument:
    """A document: its columns, the blocks of its text, and its passages."""

    name: bytes
    digest: bytes
    pages: bytes | None
    markup: bytes | None
    blocks: list[bytes]
    passages: Iterable[EncodedPassage]


def encode_document(document: Document) -> EncodedDocument:
    """Encodes a document. It is cut into passages while they are iterated over."""
    pages = struct.pack(f"<{len(document.pages)}Q", *document.pages) or None
    markup = encode_markup(document.edits, document.headings)
    blocks = [
        storage.encode_text(document.text[start : start + storage.BLOCK])
        for start in range(0, len(document.text), storage.BLOCK)
    ]
    return EncodedDocument(
        name=storage.encode_text(document.name),
        digest=storage.document_digest(b"".join(blocks), pages, markup),
        pages=pages,
        markup=markup,
        blocks=blocks,
        passages=_cut(document),
    )


def _cut(document: Document) -> Iterator[EncodedPassage]:
    visible = VisibleText(document.text, document.edits)
    headings = document.headings and [Heading(*item).seen_in(visible) for item in document.headings]
    line, at = 1, 0
    for part in passages(visible.text, headings=headings):
        start, stop = visible.to_source(part.start, part.end)
        line, at = line + document.text.count("\n", at, start), start
        seen = visible_part(document.text[start:stop], document.edits, start).text
        text = add_heading(part.heading, seen)
        heading = storage.encode_text(part.heading)
        yield EncodedPassage(start, stop, line, heading, text, split_unspaced(text))


def add_heading(heading: str, text: str) -> str:
    """Returns the text of a passage with its headings in front."""
    return f"{heading}\n{text}" if heading else text
