"""What a question asks for, and which of its words stand near an answer."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from keras_qa.metrics.answers import plain_words
from keras_qa.preprocessing.passage_spans import NUMBER
from keras_qa.preprocessing.span_answers import find_names, first_letters

if TYPE_CHECKING:
    from keras_qa.documents import Passage

_WORD = re.compile(r"\w+")
_LABEL = re.compile(r"\b(?:section|chapter|page|figure|table|appendix|listing)\s+$", re.IGNORECASE)
_DIGITS = re.compile(r"\d[\d.]*")
_TITLE = re.compile(r"\.?[ \t]+[^\W\d_]")
_MEASURE = (
    "percentage|percent|share|rate|amount|size|age|length|port|limit|maximum|minimum|cost|price"
    "|salary|version"
)
_MONTH = (
    "jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?"
    "|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?"
)
# Questions for a kind of answer, in English, and what such an answer contains. The first counts.
_KINDS = (
    (
        r"\bhow (?:many|much|long|old|often|far|large|big|high|tall|deep|wide|fast|soon|short|late"
        rf"|early)\b|\bwhat (?:\w+ )?(?:number|{_MEASURE})\b"
        r"|\bwhich (?:\w+ )?(?:port|version|number|percentage)\b|\b(?:maximum|minimum)\b",
        NUMBER,
    ),
    (
        r"\bwhen\b|\b(?:what|which) (?:year|date|day|month|time)\b",
        re.compile(
            rf"{NUMBER.pattern}|\b(?:{_MONTH})\b"
            r"|\b(?:mon|tues|wednes|thurs|fri|satur|sun)day\b",
            re.IGNORECASE,
        ),
    ),
    (
        r"\b(?:url|e-?mail|web ?(?:address|site|page)|address|link)\b",
        re.compile(r"@|https?:|www\.|\.\w{2,4}(?:/|\b)"),
    ),
    (r"\bwho(?:m|se)?\b", re.compile(r"^\D*$")),
    (r"\bwhere\b", re.compile(r"[^\W\d]")),
)
_QUESTIONS = [(re.compile(pattern, re.IGNORECASE), content) for pattern, content in _KINDS]


def asks_for_other_kind(question: str, answer: str) -> bool:
    """Whether a question asks for a number, a date, an address, a person or a place, and gets none.

    Questions in other languages than English ask for nothing in particular.
    """
    for pattern, content in _QUESTIONS:
        if pattern.search(question):
            return content.search(answer) is None
    return False


def is_section(text: str, start: int, end: int) -> bool:
    """Whether a span is the number of a section, a page or a figure.

    It follows such a word, or it has a point, begins a line and has words after it.
    """
    if start < 0 or not _DIGITS.fullmatch(text, start, end):
        return False
    line = text.rfind("\n", 0, start) + 1
    if _LABEL.search(text[line:start]):
        return True
    is_title = not text[line:start].strip(" #") and _TITLE.match(text, end) is not None
    return is_title and "." in text[start:end]


def _stems(text: str) -> list[str]:
    return [first_letters(word) for word in _WORD.findall(text)]


class QuestionWords:
    """The words of a question, by their first letters, in passages.

    A word counts the more, the fewer of the passages contain it.
    """

    def __init__(self, question: str, passages: Sequence[Passage]) -> None:
        self._headings = [f"{passage.heading} {passage.document}" for passage in passages]
        parts = list(zip(passages, self._headings, strict=True))
        stems = [{*_stems(f"{passage.text} {heading}")} for passage, heading in parts]
        words = dict.fromkeys(_stems(question))
        self._weights = {
            word: np.log((len(stems) + 1) / (sum(word in others for others in stems) + 0.5))
            for word in words
        }
        self._total = sum(self._weights.values()) or 1.0
        names = find_names(question)
        regions = [f"{passage.text} {heading}".casefold() for passage, heading in parts]
        # Whether each passage lacks each name, `(passages, names)`.
        self._lacks = np.array(
            [[name not in region for name in names] for region in regions]
        ).reshape(len(regions), len(names))

    def has_all(self, answer: str) -> bool:
        """Whether an answer has words of more than three letters, all of them in the question."""
        long = [word for word in _WORD.findall(answer) if len(word) > 3]
        return bool(long) and all(first_letters(word) in self._weights for word in long)

    def in_heading(self, number: int) -> float:
        """Share of the words in the headings above a passage and the name of its document."""
        stems = {*_stems(self._headings[number])}
        weights = (weight for word, weight in self._weights.items() if word in stems)
        return float(sum(weights) / self._total)

    def is_title(self, answer: str, number: int) -> bool:
        """Whether an answer stands in the headings above a passage or its document's name."""
        return f" {plain_words(answer)} " in f" {plain_words(self._headings[number])} "

    def missing(self, number: int) -> float:
        """Share of the names that a passage and its headings lack."""
        return float(self._lacks[number].mean()) if self._lacks.size else 0.0

    def absent(self) -> bool:
        """Whether all passages lack a name."""
        return bool(self._lacks.all(axis=0).any())
