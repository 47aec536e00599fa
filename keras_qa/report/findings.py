"""The content of a report: judged answers, groups of questions, calibration bins, risk points."""

from __future__ import annotations

import collections
import dataclasses
import re
from collections.abc import Sequence

from keras_qa.data import babi
from keras_qa.example import Answer, Example

NO_ANSWER = "no answer"
NO_SOURCE = "no source"
_OTHER = "other"

# The tables have this order.
_QUESTION_WORDS = (
    *("what", "which", "who", "when", "where", "why", "how many", "how much", "how"),
    _OTHER,
)
_PATTERN = re.compile(
    r"\b(how (?:many|much)|who|what|which|when|where|why|how)(?:m|se)?\b", re.IGNORECASE
)
_LENGTHS = {1: "1 word", 2: "2 words", 3: "3 words", 5: "4 to 5 words", 10: "6 to 10 words"}
_LONGER = "11 words or more"


@dataclasses.dataclass(frozen=True)
class JudgedAnswer:
    """An answer and its scores: `f1` is its largest word overlap with a right answer."""

    example: Example
    answer: Answer
    exact_match: float
    f1: float


@dataclasses.dataclass(frozen=True)
class Group:
    """Questions with the same task, right answer, source, question word or answer length.

    `confused` is the most frequent wrong answer, and `f1` the mean F1 in percent.
    """

    name: str
    questions: int
    right: int
    confused: str = ""
    f1: float = 0.0

    @property
    def accuracy(self) -> float:
        """Percentage of right answers."""
        return 100.0 * self.right / self.questions


@dataclasses.dataclass(frozen=True)
class Bin:
    """Answers with scores in `(low, high]`: their mean score and accuracy, from 0 to 1.

    The first bin includes a score of 0.
    """

    low: float
    high: float
    answers: int
    score: float
    accuracy: float


@dataclasses.dataclass(frozen=True)
class Point:
    """Coverage and risk, from 0 to 1, if only answers with at least a certain score are given."""

    threshold: float
    answers: int
    coverage: float
    risk: float


def coverage_steps(points: Sequence[Point], parts: int) -> list[Point]:
    """The first points that cover 1, 2, … of `parts` equal parts of the questions, and the last."""
    steps = []
    for part in range(1, parts + 1) if points else ():
        # Allow for rounding errors of the coverage.
        reached = (point for point in points if point.coverage * parts >= part - 1e-9)
        steps.append(next(reached, points[-1]))
    return list(dict.fromkeys(steps))


def question_word(question: str) -> str:
    """Returns the question word of an English question."""
    match = _PATTERN.search(" ".join(question.split()))
    return match[1].lower() if match else _OTHER


def answer_length(answers: Sequence[str]) -> str:
    """Returns the length of the first right answer, as the name of a group."""
    if not answers:
        return NO_ANSWER
    words = len(answers[0].split())
    return next((name for most, name in _LENGTHS.items() if words <= most), _LONGER)


def by_task(judged: Sequence[JudgedAnswer]) -> list[Group]:
    """Groups of the bAbI tasks, in order."""
    tasks = ((babi.task_of(item.example), item) for item in judged)
    groups = _groups([(str(task), item) for task, item in tasks if task is not None])
    return [groups[task] for task in sorted(groups, key=int)]


def by_answer(judged: Sequence[JudgedAnswer]) -> list[Group]:
    """Groups of the right answers, the most frequent first."""
    return _most_frequent(
        [(item.example.answers[0], item) for item in judged if item.example.answers]
    )


def by_source(judged: Sequence[JudgedAnswer]) -> list[Group]:
    """Groups of the sources, the most frequent first. Empty if no example has a source."""
    if not any(item.example.source for item in judged):
        return []
    return _most_frequent([(item.example.source or NO_SOURCE, item) for item in judged])


def by_question_word(judged: Sequence[JudgedAnswer]) -> list[Group]:
    """Groups of the question words."""
    groups = _groups([(question_word(item.example.question), item) for item in judged])
    return [groups[name] for name in _QUESTION_WORDS if name in groups]


def by_length(judged: Sequence[JudgedAnswer]) -> list[Group]:
    """Groups of the lengths of the right answers."""
    groups = _groups([(answer_length(item.example.answers), item) for item in judged])
    names = (NO_ANSWER, *_LENGTHS.values(), _LONGER)
    return [groups[name] for name in names if name in groups]


def _most_frequent(items: Sequence[tuple[str, JudgedAnswer]]) -> list[Group]:
    return sorted(_groups(items).values(), key=lambda group: (-group.questions, group.name))


def _groups(items: Sequence[tuple[str, JudgedAnswer]]) -> dict[str, Group]:
    parts: dict[str, list[JudgedAnswer]] = {}
    for name, item in items:
        parts.setdefault(name, []).append(item)
    groups = {}
    for name, part in parts.items():
        wrong = collections.Counter(item.answer.text for item in part if not item.exact_match)
        confused = min(wrong, key=lambda text: (-wrong[text], text), default="")
        overlap = 100.0 * sum(item.f1 for item in part) / len(part)
        groups[name] = Group(name, len(part), len(part) - wrong.total(), confused, overlap)
    return groups
