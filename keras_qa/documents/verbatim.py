"""Finds the sentences of an answer, or their quotations and numbers, verbatim in a document.

Case, white space, and the kind of quotation marks do not matter.
"""

from __future__ import annotations

import bisect
import re
import unicodedata
from collections.abc import Iterator
from typing import NamedTuple

from keras_qa.documents.full_text import UNSPACED
from keras_qa.text.sentence_splitting import sentence_spans

# One plain character for each, and for İ, the only letter whose lower case has two characters.
_PLAIN = str.maketrans(
    {**dict.fromkeys("“”„‟«»", '"'), **dict.fromkeys("‘’‚‛", "'"), "\N{MINUS SIGN}": "-", "İ": "i"}
)
_QUOTATION = re.compile(r'"([^"\n]+)"')
# A letter of a script with spaces between words, or a digit.
_LETTER = rf"(?:\d|[^\W{UNSPACED}])"
# A word with a digit, with its sign, its separators and its percent sign.
_NUMBER = re.compile(
    rf"(?:(?<![\w)])-(?=\d))?(?<!{_LETTER}){_LETTER}*\d{_LETTER}*(?:[.,']\d{_LETTER}*)*(?:\s?%)?"
)
# What does not count in a number: white space, and marks between groups of three digits.
_SEPARATOR = re.compile(r"\s|(?<=\d)[,'](?=\d{3}(?!\d))")
_UNSPACED_LETTER = re.compile(f"[{UNSPACED}]")


class Claim(NamedTuple):
    """A sentence `answer[start:end]`, and its parts as `fold` returns them."""

    start: int
    end: int
    sentence: str
    quotations: set[str]
    numbers: set[str]


class FoldedText:
    """A text as `fold` returns it, and the places of each number in it, by its digits."""

    def __init__(self, text: str) -> None:
        self.text = fold(text)
        self.numbers: dict[str, list[tuple[int, int]]] = {}
        self._number_spans = [match.span() for match in _NUMBER.finditer(self.text)]
        for start, end in self._number_spans:
            number = _SEPARATOR.sub("", self.text[start:end])
            self.numbers.setdefault(number, []).append((start, end))

    def find(self, part: str) -> Iterator[tuple[int, int]]:
        """Yields where a folded part stands in the text as whole words and numbers."""
        for match in re.finditer(r"\s+".join(map(re.escape, part.split())), self.text):
            if not any(map(self._is_inside, match.span())):
                yield match.span()

    def locate(self, claim: Claim) -> tuple[int, int] | None:
        """Returns the span of what supports a claim, or `None`.

        This is the first place of the whole sentence, or the shortest part of the text with each of
        its quotations and numbers.
        """
        whole = next(self.find(claim.sentence), None)
        parts = [list(self.find(part)) for part in claim.quotations]
        parts += [self.numbers.get(number, []) for number in claim.numbers]
        return whole if whole or not parts or not all(parts) else _shortest_cover(parts)

    def _is_inside(self, place: int) -> bool:
        """Whether a place is inside a word or a number."""
        around = _UNSPACED_LETTER.sub(" ", self.text[max(place - 1, 0) : place + 1])
        if len(around) == 2 and all(unicodedata.category(one)[0] in "LMN" for one in around):
            return True
        number = bisect.bisect_left(self._number_spans, (place, place)) - 1
        return number >= 0 and place < self._number_spans[number][1]


def fold(text: str) -> str:
    """Returns a text of the same length in lower case, with plain quotation marks."""
    return text.translate(_PLAIN).lower()


def find_claims(answer: str) -> list[Claim]:
    """Returns the sentences of an answer that have a word as claims."""
    folded, claims = fold(answer), []
    quotations = [match.span(1) for match in _QUOTATION.finditer(folded)]
    for start, end in sentence_spans(answer):
        sentence = FoldedText(answer[start:end])
        # A quotation may reach over several sentences.
        within = [folded[max(start, first) : min(end, last)] for first, last in quotations]
        # English puts the full stop or the comma of the sentence inside the quotation.
        quoted = {part.strip(" .,;") for part in within if re.search(r"\w", part)}
        if re.search(r"\w", sentence.text):
            claims.append(Claim(start, end, sentence.text, quoted, set(sentence.numbers)))
    return claims


def _shortest_cover(parts: list[list[tuple[int, int]]]) -> tuple[int, int]:
    """Returns the shortest span that contains a span of each list."""
    spans = [(end, start, part) for part, found in enumerate(parts) for start, end in found]
    starts: dict[int, int] = {}  # The last start of each part.
    covers = []
    for end, start, part in sorted(spans):
        starts[part] = start
        if len(starts) == len(parts):
            covers.append((min(starts.values()), end))
    return min(covers, key=lambda span: span[1] - span[0])
