"""The spans of a passage that may answer a question, without overlaps and as whole phrases."""

from __future__ import annotations

import re

import numpy as np

from keras_qa.preprocessing.decoder import Spans
from keras_qa.preprocessing.preprocessor import PassageSpan
from keras_qa.preprocessing.span_answers import first_letters

# Number of the best spans of a passage that are compared.
SPANS = 10

# A wider span replaces a span if its odds are at least `exp(-2.5)` of these, and it has at most
# three more words: a reader often marks "35th" where "35th floor" is as likely.
_WIDER_LOGIT, _WIDER_WORDS = 2.5, 3
# Each word of a span costs this much, since starts and ends of a reader are independent.
_WORD_COST = 0.15
# The lowest logit of the odds, and the lowest probability of no answer. A reader that knows no text
# without an answer finds all spans much likelier, so there is no limit that makes them equal.
_MIN_ODDS, _MIN_NO_ANSWER = -30.0, 1e-30

# The end of a paragraph, or of a field, an item or a row of a table as documents are read.
_UNIT_END = re.compile(r"(?<=\S)[^\S\n]*+\n[^\S\n]*+\n")
# The end of a sentence, of a paragraph, or of a cell of a table, the begin of a list item, and in
# code a key or a table of TOML.
_BOUNDARY = re.compile(
    r"[.!?][\"')\]]*\s+[A-Z(\-*]|\n\s*\n|\n\s*(?:[-*+•]|\d+[.)])\s|;\s[^;:\n]{1,40}:\s|\t"
    r"|\n\s*[\"'\w.-]+\s*[=:]\s|\w[\"']\s*:|\n\s*\["
)
# The address of a link after its text, and a bracket that is opened at the end.
_LINK = re.compile(r"\s*\((?:https?:|mailto:|www\.)[^()\s]*\)?$|\s*\($")
_CLOSING = re.compile(r"[^()\n]{0,30}\)")
# The name of a file, a variable, a version, an option or an address. A reader may mark "toml" in
# "Cargo.toml".
_NAME = re.compile(
    r"""https?://[^\s<>"]*[\w/]
    | (?<![\w./:@~$+-])
    (?=[\w./:@~$+-]*?(?:\w\.[a-z]|\d\.\d+\.\d|_|\w@\w|\w::\w) | ~?\.{0,2}/[\w.] | --\w)
    [\w./:@~$+-]*[\w/]
    """,
    re.VERBOSE,
)
_BEGIN, _END = "$€£~-/.@#+([", "%+)]/\"'°"

NUMBER = re.compile(
    r"\d|\b(?:one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|fifteen|twenty|thirty"
    r"|forty|fifty|sixty|ninety|hundred|thousand|million|half|once|twice|daily|weekly|monthly"
    r"|yearly|annually|quarterly)\b",
    re.IGNORECASE,
)
_NEXT_WORDS = re.compile(r"[ \-]([^\W\d_]+)(?:[ \-]([^\W\d_]+))?")
_WORD_BEFORE = re.compile(r"([^\W\d_]+) of $")


def passage_spans(
    spans: Spans, row: int, text: str, offset: int, question: str, types: tuple[str, ...] = ()
) -> list[PassageSpan]:
    """Returns the spans of a passage that do not overlap, and its answer types, best first.

    `spans` are those of a decoder with `no_answer`, whose text number `row` is `text`. The passage
    begins at an offset in it, and what precedes it only helps to read.
    """
    passage = text[offset:]
    nothing = np.log(max(float(spans.no_answer[row]), _MIN_NO_ANSWER))
    rows = zip(spans.start[row], spans.end[row], spans.score[row], strict=True)
    names = [match.span() for match in _NAME.finditer(passage)]
    scores: dict[tuple[int, int], float] = {}
    for start, end, score in rows:
        if start >= offset and score > 0:
            span = _whole_names(int(start) - offset, int(end) - offset, names)
            scores[span] = scores.get(span, 0.0) + float(score)
    marked = [
        PassageSpan(passage[start:end], start, end, _odds(score, nothing))
        for (start, end), score in scores.items()
    ]
    # A span over a boundary is the begin of one answer and the end of another.
    whole = [span for span in marked if not _BOUNDARY.search(span.text.strip())]
    marked = whole or [_first_unit(span) for span in marked]
    marked.sort(key=lambda span: _WORD_COST * len(span.text.split()) - span.odds)
    words = {first_letters(word) for word in re.findall(r"\w{4,}", question)}
    result = [
        PassageSpan(name, -1, -1, _odds(score, nothing))
        for name, score in zip(types, spans.answer_types[row], strict=True)
        if score > 0
    ]
    while marked:
        best = marked[0]
        same = [span for span in marked if span.start < best.end and best.start < span.end]
        marked = [span for span in marked if span not in same]
        longest = len(best.text.split()) + _WIDER_WORDS
        widest = max(
            (
                span
                for span in same
                if span.start <= best.start
                and span.end >= best.end
                and span.odds >= best.odds - _WIDER_LOGIT
                and len(span.text.split()) <= longest
            ),
            key=lambda span: span.end - span.start,
        )
        start, end = _complete(passage, *_trim(passage, widest.start, widest.end), words)
        is_apart = all(end <= other.start or other.end <= start for other in result)
        if start < end and is_apart:
            odds = max(span.odds for span in same)
            result.append(PassageSpan(passage[start:end], start, end, odds))
    return sorted(result, key=lambda span: -span.odds)


def _first_unit(span: PassageSpan) -> PassageSpan:
    """Ends a span at the end of the unit in which it begins."""
    text = _UNIT_END.split(span.text, maxsplit=1)[0]
    return PassageSpan(text, span.start, span.start + len(text), span.odds)


def _whole_names(start: int, end: int, names: list[tuple[int, int]]) -> tuple[int, int]:
    """Widens a span that begins or ends inside of a name."""
    for first, last in names:
        if first < start < last:
            start = first
        if first < end < last:
            end = last
    return start, end


def _odds(score: float, nothing: float) -> float:
    return max(float(np.log(score) - nothing), _MIN_ODDS)


def _trim(text: str, start: int, end: int) -> tuple[int, int]:
    """Removes punctuation around a span, the address of a link, and a bracket without its pair."""
    link = _LINK.search(text, start, end)
    if link is not None and link.start() > start:
        end = link.start()
    start, end = _strip(text, start, end)
    opened, closed = text.count("(", start, end), text.count(")", start, end)
    if opened > closed:
        closing = _CLOSING.match(text, end)
        last = text.rindex("(", start, end)
        if closing is not None and len(closing[0].split()) <= _WIDER_WORDS:
            end = closing.end()
        elif text[start:last].strip():
            end = start + len(text[start:last].rstrip())
        else:
            start = last + 1
    elif closed > opened and text[end - 1] == ")":
        end -= 1
    elif closed == 1 and text[start] == "(" and text[end - 1] == ")":
        start, end = start + 1, end - 1
    while start < end and text[end - 1] in "\"'" and text.count(text[end - 1], start, end) % 2:
        end -= 1
    return _strip(text, start, end)


def _strip(text: str, start: int, end: int) -> tuple[int, int]:
    """Removes white space and punctuation that is no part of a number, a path or a bracket."""
    while start < end and not (text[start].isalnum() or text[start] in _BEGIN):
        start += 1
    while start < end and not (text[end - 1].isalnum() or text[end - 1] in _END):
        end -= 1
    return start, end


def _complete(text: str, start: int, end: int, words: set[str]) -> tuple[int, int]:
    """Adds the noun of a number if it is a word of the question: "35th" becomes "35th floor"."""
    if not NUMBER.search(text[start:end]):
        return start, end
    after = _NEXT_WORDS.match(text, end)
    if after is not None:
        for group in (1, 2):
            if after[group] and first_letters(after[group]) in words:
                return start, after.end(group)
    before = _WORD_BEFORE.search(text[max(start - 40, 0) : start])
    if before is not None and first_letters(before[1]) in words:
        return start - len(before[0]), end
    return start, end
