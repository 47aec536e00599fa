"""Finds the sentences of an answer, or their quotations and numbers, verbatim in a document.

Case, white space, and the kind of quotation marks do not matter.
"""

from __future__ import annotations

import bisect
import heapq
import itertools
import re
import unicodedata
from collections.abc import Iterator
from typing import NamedTuple, TypeAlias

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
# Maximum number of characters from the first to the last part that supports a claim: a passage.
MAX_COVER = 1_000

Span: TypeAlias = tuple[int, int]


class Claim(NamedTuple):
    """A sentence `answer[start:end]`, and its parts as `fold` returns them."""

    start: int
    end: int
    sentence: str
    quotations: frozenset[str]
    numbers: frozenset[str]


class FoldedText:
    """A text as `fold` returns it, and the places of each number in it, by its digits."""

    def __init__(self, text: str) -> None:
        self.text = fold(text)
        # Runs of white space as one space, so that a search takes linear time; and where each
        # of them was shortened, by how much in total.
        self._spaced = re.sub(r"\s+", " ", self.text)
        runs = [match.span() for match in re.finditer(r"\s{2,}", self.text)]
        self._cuts = [0, *itertools.accumulate(end - start - 1 for start, end in runs)]
        self._shortened = [start - cut for (start, _), cut in zip(runs, self._cuts, strict=False)]
        self.numbers: dict[str, list[Span]] = {}
        self._number_spans = [match.span() for match in _NUMBER.finditer(self.text)]
        for start, end in self._number_spans:
            number = _SEPARATOR.sub("", self.text[start:end])
            self.numbers.setdefault(number, []).append((start, end))

    def find(self, part: str) -> Iterator[Span]:
        """Yields where a folded part stands in the text as whole words and numbers."""
        part, position = " ".join(part.split()), 0
        while part and (position := self._spaced.find(part, position)) >= 0:
            first, last = position, (position := position + len(part)) - 1
            span = self._unshortened(first), self._unshortened(last) + 1
            if not any(map(self._is_inside, span)):
                yield span

    def locate(self, claim: Claim) -> Span | None:
        """Returns the span of what supports a claim, or `None`.

        This is the first occurrence of the whole sentence, or the shortest part of the text with
        each of its quotations and numbers, of at most `MAX_COVER` characters.
        """
        whole = next(self.find(claim.sentence), None)
        if whole is not None:
            return whole
        parts = [self.numbers.get(number, []) for number in claim.numbers]
        if all(parts):
            parts += [list(self.find(part)) for part in claim.quotations]
        cover = _shortest_cover(parts) if parts and all(parts) else None
        return cover if cover is not None and cover[1] - cover[0] <= MAX_COVER else None

    def _unshortened(self, position: int) -> int:
        """Returns the place in the text of a place in `_spaced`."""
        return position + self._cuts[bisect.bisect_left(self._shortened, position)]

    def _is_inside(self, position: int) -> bool:
        """Whether a place is inside a word or a number."""
        around = _UNSPACED_LETTER.sub(" ", self.text[max(position - 1, 0) : position + 1])
        if len(around) == 2 and all(unicodedata.category(letter)[0] in "LMN" for letter in around):
            return True
        number = bisect.bisect_left(self._number_spans, (position, position)) - 1
        return number >= 0 and position < self._number_spans[number][1]


def fold(text: str) -> str:
    """Returns a text of the same length in lower case, with plain quotation marks."""
    return text.translate(_PLAIN).lower()


def find_claims(answer: str) -> list[Claim]:
    """Returns the sentences of an answer that have a word as claims."""
    folded, claims = fold(answer), []
    quotations = [match.span(1) for match in _QUOTATION.finditer(folded)]
    firsts, lasts = ([span[side] for span in quotations] for side in (0, 1))
    for start, end in sentence_spans(answer):
        sentence = FoldedText(answer[start:end])
        # A quotation may reach over several sentences.
        near = quotations[bisect.bisect_right(lasts, start) : bisect.bisect_left(firsts, end)]
        within = [folded[max(start, first) : min(end, last)] for first, last in near]
        # English puts the full stop or the comma of the sentence inside the quotation.
        quoted = frozenset(part.strip(" .,;") for part in within if re.search(r"\w", part))
        if re.search(r"\w", sentence.text):
            claims.append(Claim(start, end, sentence.text, quoted, frozenset(sentence.numbers)))
    return claims


def _shortest_cover(parts: list[list[Span]]) -> Span:
    """Returns the shortest span that contains a span of each list."""
    spans = [(end, start, part) for part, matches in enumerate(parts) for start, end in matches]
    starts: dict[int, int] = {}  # The last start of each part.
    queue: list[Span] = []  # All starts, the smallest first.
    covers = []
    for end, start, part in sorted(spans):
        starts[part] = start
        heapq.heappush(queue, (start, part))
        while starts[queue[0][1]] != queue[0][0]:
            heapq.heappop(queue)
        if len(starts) == len(parts):
            covers.append((queue[0][0], end))
    return min(covers, key=lambda span: span[1] - span[0])
