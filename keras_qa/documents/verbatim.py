"""Finds the sentences of an answer, their quotations and their numbers verbatim in a document.

Case, white space, and the kind of quotation marks do not matter.
"""

from __future__ import annotations

import array
import bisect
import re
import unicodedata
from collections.abc import Iterator
from typing import NamedTuple

from keras_qa.documents.full_text import UNSPACED
from keras_qa.text.sentence_splitting import sentence_spans

# Typographic quotation marks and the minus sign, and their plain forms.
_PLAIN_MARKS = str.maketrans(
    {**dict.fromkeys("“”„‟«»", '"'), **dict.fromkeys("‘’‚‛‹›", "'"), "\N{MINUS SIGN}": "-"}
)
# A quotation within one line. A closing ’ is no apostrophe.
_QUOTATION = re.compile(
    r'"([^"\n]+)"|“([^“”\n]+)”|„([^“”„\n]+)[“”]|«([^«»\n]+)»|»([^«»\n]+)«|‘([^‘\n]+?)’(?!\w)'
)
# A letter of a script with spaces between words, or a digit.
_LETTER = rf"(?:\d|[^\W{UNSPACED}])"
# A word with a digit, with its sign, its separators and its percent sign.
_NUMBER = re.compile(
    rf"(?:(?<![\w)])-(?=\d))?(?<!{_LETTER}){_LETTER}*\d{_LETTER}*(?:[.,']\d{_LETTER}*)*(?: ?[%‰])?"
)
_THOUSANDS = re.compile(r"-?[1-9]\d{0,2}(?:[,']\d{3})+(?![\d,'])")
_UNSPACED_LETTER = re.compile(f"[{UNSPACED}]")


class Claim(NamedTuple):
    """A sentence `answer[start:end]`, and what of it a document must contain, as `FoldedText`."""

    start: int
    end: int
    sentence: str
    quotations: set[str]
    numbers: set[str]


class FoldedText:
    """A text in lower case, with plain quotation marks and single spaces: `text`.

    `numbers` has the spans in `text` of each number, without thousands separators.
    """

    def __init__(self, text: str) -> None:
        folded = text.translate(_PLAIN_MARKS).casefold()
        if len(folded) != len(text):
            folded = "".join(map(_fold_letter, text.translate(_PLAIN_MARKS)))
        words: list[str] = []
        # The offset in `text` of each letter, of the space after each word, and of the end.
        self._offsets = array.array("q")
        for match in re.finditer(r"\S+", folded):
            words.append(match[0])
            self._offsets.extend(range(match.start(), match.end() + 1))
        self.text = " ".join(words)
        self.numbers: dict[str, list[tuple[int, int]]] = {}
        self._number_spans: list[tuple[int, int]] = []
        for match in _NUMBER.finditer(self.text):
            self.numbers.setdefault(_number_value(match[0]), []).append(match.span())
            self._number_spans.append(match.span())

    def find(self, part: str) -> Iterator[tuple[int, int]]:
        """Yields where a part stands in `self.text` as whole words and numbers."""
        start = self.text.find(part)
        while start >= 0:
            end = start + len(part)
            if not self._is_inside(start) and not self._is_inside(end):
                yield start, end
            start = self.text.find(part, start + 1)

    def locate(self, claim: Claim) -> tuple[tuple[int, int] | None, bool]:
        """Finds what supports a claim.

        Returns:
            `(span, is_whole)`: offsets of the first place of the whole sentence; or of the shortest
            part of the text with each of its quotations and numbers, or `None`.
        """
        whole = next(self.find(claim.sentence), None)
        if whole is not None:
            return self._span(*whole), True
        parts = [list(self.find(part)) for part in claim.quotations]
        parts += [self.numbers.get(number, []) for number in claim.numbers]
        if not parts or not all(parts):
            return None, False
        return self._span(*_shortest_cover(parts)), False

    def _span(self, start: int, end: int) -> tuple[int, int]:
        return self._offsets[start], self._offsets[end]

    def _is_inside(self, place: int) -> bool:
        """Whether a place is inside a word or a number."""
        around = self.text[max(place - 1, 0) : place + 1]
        if len(around) == 2 and all(map(_is_word_letter, around)):
            return True
        number = bisect.bisect_left(self._number_spans, (place, place)) - 1
        return number >= 0 and place < self._number_spans[number][1]


def find_claims(answer: str) -> list[Claim]:
    """Returns the sentences of an answer that have a word as claims."""
    quotations = [match.span(match.lastindex or 0) for match in _QUOTATION.finditer(answer)]
    claims = []
    for start, end in sentence_spans(answer):
        sentence = FoldedText(answer[start:end])
        if not re.search(r"\w", sentence.text):
            continue
        # A quotation may reach over several sentences.
        within = [(max(start, first), min(end, last)) for first, last in quotations]
        parts = {FoldedText(answer[first:last]).text for first, last in within if first < last}
        # English puts the full stop or the comma of the sentence inside the quotation.
        quoted = {part.strip(" .,;") for part in parts if re.search(r"\w", part)}
        claims.append(Claim(start, end, sentence.text, quoted, set(sentence.numbers)))
    return claims


def _fold_letter(letter: str) -> str:
    """Returns the letter in lower case, or as it is if that has several characters, like ß."""
    folded = letter.casefold(), letter.lower(), letter
    return next(one for one in folded if len(one) == 1)


def _is_word_letter(letter: str) -> bool:
    return unicodedata.category(letter)[0] in "LMN" and not _UNSPACED_LETTER.match(letter)


def _number_value(number: str) -> str:
    """Returns a number without thousands separators, and without a space before its `%`."""
    number = number.replace(" ", "")
    match = _THOUSANDS.match(number)
    if match is None:
        return number
    return re.sub("[,']", "", match[0]) + number[match.end() :]


def _shortest_cover(parts: list[list[tuple[int, int]]]) -> tuple[int, int]:
    """Returns the shortest span that contains a span of each list."""
    spans = [(end, start, part) for part, found in enumerate(parts) for start, end in found]
    covers = []
    # The last start of each part.
    starts: dict[int, int] = {}
    for end, start, part in sorted(spans):
        starts[part] = start
        if len(starts) == len(parts):
            covers.append((min(starts.values()), end))
    return min(covers, key=lambda span: span[1] - span[0])
