"""Where an index has the evidence of a claim, and how their words, numbers and names compare."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from keras_qa.answering.document_answers import search_shares
from keras_qa.documents.facts import Facts, Number, contains, windows

if TYPE_CHECKING:
    from keras_qa.documents import Passage

# Share of the words of a claim that evidence may lack, and that a sentence with a value for a fact
# of the claim must have.
RELATED, SAME_ROLE = 0.4, 0.5

# The shortest stem of which a longer word is a form.
_FORM = 4
_YEAR = re.compile(r"[12]\d{3}s?")
_YEARS = range(1000, 3000)
_BEFORE_YEAR = re.compile(
    r"\b(in|since|from|until|by|of|to|year|before|after|january|february|march|april|may|june|july|"
    r"august|september|october|november|december)\s+$",
    re.IGNORECASE,
)
_PERCENT = re.compile(r"\s*(%|per ?cent)")
# What joins words of a name.
_JOINT = re.compile(r"\s+(?:of\s+)?(?:the\s+)?|[-’']")


@dataclasses.dataclass
class Evidence:
    """A window of sentences of a passage, which a claim may be about."""

    passage: Passage
    start: int
    end: int
    facts: Facts
    features: dict[str, float]
    # How little of what the claim is about the window has.
    distance: float
    # Probability that the window supports the claim.
    score: float = 0.0
    # What the window says instead of a fact of the claim, or the window, and the reader's score.
    instead: str | None = None
    certainty: float = 0.0

    @property
    def text(self) -> str:
        """The window."""
        return self.passage.text[self.start : self.end]


def find_evidence(
    claim: Facts,
    topic: frozenset[str],
    passages: Sequence[Passage],
    find: Callable[[str], Facts],
) -> list[Evidence]:
    """Returns windows of passages, first those with most of the stems of a topic.

    `find` returns the facts of a text.
    """
    evidences: list[Evidence] = []
    count = max(len(topic), 1)
    for passage, share in zip(passages, search_shares(passages).tolist(), strict=True):
        title = re.sub(r"[/._-]", " ", passage.document)
        around = find(f"{passage.text}\n{passage.heading}\n{title}").stems
        names = sum(not _is_known(name, around, passage.text) for name in claim.names)
        names += sum(contains(passage.text, literal) is None for literal in claim.literals)
        unknown = len(topic - around) / count
        for start, end in windows(passage.text):
            facts = find(passage.text[start:end])
            missing = [number for number in claim.numbers if is_missing(number, facts)]
            features = {
                "names": float(min(names, 2)),
                "numbers": float(bool(missing)),
                "unrelated": max(unknown - RELATED, 0.0),
            }
            # By experience: words of the window count twice, and long windows are less telling.
            distance = 2 * len(topic - facts.stems) / count + unknown + (end - start) / 1_500
            distance += 0.3 * len(missing) - 0.5 * share
            evidences.append(Evidence(passage, start, end, facts, features, distance))
    return sorted(evidences, key=lambda evidence: evidence.distance)


def _is_known(name: str, stems: frozenset[str], text: str) -> bool:
    """Whether a text has a name, a form of it (Europe, European), or what it abbreviates."""
    if name in stems:
        return True
    forms = (stem for stem in stems if min(len(name), len(stem)) >= _FORM)
    if any(stem.startswith(name) or name.startswith(stem) for stem in forms):
        return True
    # "US" for "U.S." or "United States".
    initials = r"\W+(?:(?:of|the|and)\W+)?".join(rf"\b{letter}\w*" for letter in name.upper())
    return 1 < len(name) < _FORM + 2 and re.search(initials, text) is not None


def has_conflict(claim: Facts, evidence: Evidence) -> bool:
    """Whether evidence has another number of what a claim counts."""
    return any(
        is_missing(number, evidence.facts) and number.conflicts(other)
        for number in claim.numbers
        for other in evidence.facts.numbers
    )


def is_missing(number: Number, facts: Facts) -> bool:
    """Whether facts lack a number of a claim. One may be expressed without a number."""
    return number.value != 1 and not any(map(number.agrees, facts.numbers))


@dataclasses.dataclass(frozen=True)
class Question:
    """The claim with an interrogative instead of a fact: "in what year" for "in 2014"."""

    text: str
    stems: frozenset[str]
    number: Number | None
    is_year: bool = False

    def is_answered_by(self, answer: Facts) -> bool:
        """Whether an answer is the fact of the claim."""
        if self.number is not None:
            return any(number.value == self.number.value for number in answer.numbers)
        stems = answer.stems
        return bool(stems) and (stems <= self.stems or self.stems <= stems)

    def is_open(self, facts: Facts) -> bool:
        """Whether facts lack the fact of the claim."""
        return not self.stems <= facts.stems or (
            self.number is not None and is_missing(self.number, facts)
        )

    def is_corrected_by(self, answer: Facts, claim: Facts, evidence: Facts) -> bool:
        """Whether an answer stands in evidence in the role of the fact in the claim.

        It is a name for a name, or the only number of the evidence with the same unit. The evidence
        has half of the other words of the claim or more.
        """
        others = claim.stems - self.stems
        if len(others & evidence.stems) < SAME_ROLE * len(others):
            return False
        if self.number is None:
            return not answer.numbers and any(stem in evidence.names for stem in answer.stems)
        if len(answer.numbers) != 1:
            return False
        value = answer.numbers[0].value
        if self.is_year:
            return value in _YEARS
        rivals = {other.value for other in evidence.numbers if self.number.conflicts(other)}
        return rivals == {value}


def make_questions(claim: str, facts: Facts) -> list[Question]:
    """Asks for each number and each name of a claim."""
    questions = []
    for number in facts.numbers:
        start, end, word = number.start, number.end, "how many"
        if _YEAR.fullmatch(claim[start:end]) and _BEFORE_YEAR.search(claim[:start]):
            word = "what year"
        percent = _PERCENT.match(claim, end)
        if percent:
            word, end = "what percentage", percent.end()
        if number.value != 1:
            text = _replaced(claim, start, end, word)
            questions.append(Question(text, frozenset(), number, word == "what year"))
    names: list[tuple[int, int, frozenset[str]]] = []
    for stem, (start, end) in sorted(facts.names.items(), key=lambda item: item[1]):
        stems = frozenset([stem])
        if names and _JOINT.fullmatch(claim, names[-1][1], start):
            start, _, before = names.pop()
            stems |= before
        names.append((start, end, stems))
    texts = [_replaced(claim, start, end, "what") for start, end, _ in names]
    return questions + [
        Question(text, stems, None) for text, (_, _, stems) in zip(texts, names, strict=True)
    ]


def _replaced(claim: str, start: int, end: int, word: str) -> str:
    text = claim[:start] + word + claim[end:].rstrip(" .!;,") + "?"
    return text[0].upper() + text[1:]
