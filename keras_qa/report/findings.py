"""Records of a report: questions that were judged, what they add up to, and all of it together."""

from __future__ import annotations

import dataclasses

from keras_qa.example import Answer, Example


@dataclasses.dataclass(frozen=True)
class Judged:
    """A question, the answer it got, and how good that is.

    Args:
        example: The question, with its right answers.
        answer: The answer given.
        exact_match: 1.0 if it is right, else 0.0.
        f1: Its overlap in words with the right answer closest to it.
    """

    example: Example
    answer: Answer
    exact_match: float
    f1: float


@dataclasses.dataclass(frozen=True)
class Group:
    """Questions that have a task, a right answer or something else in common.

    Args:
        name: What they have in common.
        questions: How many there are.
        right: How many were answered right.
        confused: The wrong answer given most often, or an empty string.
        f1: The mean overlap of their answers with the right ones, in percent.
    """

    name: str
    questions: int
    right: int
    confused: str = ""
    f1: float = 0.0

    @property
    def accuracy(self) -> float:
        """Percent of right answers."""
        return 100.0 * self.right / self.questions


@dataclasses.dataclass(frozen=True)
class Bin:
    """Answers with scores above `low` and up to `high`; a score of 0 is in the first bin.

    Args:
        low: Lower end.
        high: Upper end.
        answers: How many there are.
        score: Their mean score.
        accuracy: The share of them that is right, between 0 and 1.
    """

    low: float
    high: float
    answers: int
    score: float
    accuracy: float


@dataclasses.dataclass(frozen=True)
class Point:
    """What comes of giving only answers of a score or more.

    Args:
        threshold: The score.
        answers: How many answers are given.
        coverage: The share of all questions that get one, between 0 and 1.
        risk: The share of the given answers that is wrong, between 0 and 1.
    """

    threshold: float
    answers: int
    coverage: float
    risk: float


@dataclasses.dataclass(frozen=True)
class Findings:
    """What a `Report` holds.

    Args:
        questions: Number of questions.
        exact_match: Percent of right answers.
        f1: Mean overlap in words, in percent.
        by_task: A `Group` for each bAbI task, where examples say which they
            are of.
        by_answer: A `Group` for each right answer, the most frequent first.
        errors: The wrong answers, first those with the highest scores and the
            least in common with the right ones: by score times what F1 lacks.
        bins: Scores against how often they are right. Bins without answers
            are left out.
        calibration_error: The mean difference of the two, between 0 and 1.
        by_question_word: Where examples say where their answers stand: a
            `Group` for each word that questions ask with.
        by_length: Likewise, a `Group` for the lengths of the right answers.
        version: Likewise, the version of SQuAD whose official scores these
            are; else an empty string.
        official: These scores, as `metrics.squad` gives them.
        bins_before: As `bins`, for the answers with a temperature of 1, where
            they are known.
        calibration_error_before: As `calibration_error`, likewise.
        located: Where an index was asked, number of questions of which it is
            known where in the index their answers stand.
        recall: Likewise, percent of these questions with such a passage among
            the first one, five and twenty that are found.
        points: Likewise, a `Point` for each score, the highest first.
    """

    questions: int
    exact_match: float
    f1: float
    by_task: list[Group]
    by_answer: list[Group]
    errors: list[Judged]
    bins: list[Bin]
    calibration_error: float
    by_question_word: list[Group] = dataclasses.field(default_factory=list)
    by_length: list[Group] = dataclasses.field(default_factory=list)
    version: str = ""
    official: dict[str, float] = dataclasses.field(default_factory=dict)
    bins_before: list[Bin] = dataclasses.field(default_factory=list)
    calibration_error_before: float | None = None
    located: int = 0
    recall: dict[int, float] = dataclasses.field(default_factory=dict)
    points: list[Point] = dataclasses.field(default_factory=list)

    @property
    def wrong(self) -> int:
        """Number of wrong answers, of which `errors` may hold a part."""
        return self.questions - round(self.questions * self.exact_match / 100.0)
