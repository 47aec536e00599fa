"""The content of a report: judged answers, groups of questions, calibration bins, risk points."""

from __future__ import annotations

import dataclasses

from keras_qa.example import Answer, Example


@dataclasses.dataclass(frozen=True)
class JudgedAnswer:
    """An answer and its scores.

    Args:
        example: The question, with its right answers.
        answer: The given answer.
        exact_match: 1.0 if it is right, else 0.0.
        f1: Its largest word overlap with a right answer.
    """

    example: Example
    answer: Answer
    exact_match: float
    f1: float


@dataclasses.dataclass(frozen=True)
class Group:
    """Questions with the same task, right answer, question word or answer length.

    Args:
        name: What they have in common.
        questions: Number of questions.
        right: Number of right answers.
        confused: The most frequent wrong answer, or an empty string.
        f1: Mean F1, in percent.
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
    """Answers with scores in `(low, high]`. The first bin includes a score of 0.

    Args:
        low: Lower end.
        high: Upper end.
        answers: Number of answers.
        score: Their mean score.
        accuracy: The share of right answers, between 0 and 1.
    """

    low: float
    high: float
    answers: int
    score: float
    accuracy: float


@dataclasses.dataclass(frozen=True)
class Point:
    """Coverage and risk if only answers with at least a certain score are given.

    Args:
        threshold: The score.
        answers: Number of answers with at least this score.
        coverage: Their share of all questions, between 0 and 1.
        risk: The share of wrong answers among them, between 0 and 1.
    """

    threshold: float
    answers: int
    coverage: float
    risk: float


@dataclasses.dataclass(frozen=True)
class Findings:
    """The content of a `Report`.

    Args:
        questions: Number of questions.
        exact_match: Percentage of right answers.
        f1: Mean F1, in percent.
        by_task: A `Group` for each bAbI task, if examples name their tasks.
        by_answer: A `Group` for each right answer, the most frequent first.
        errors: Wrong answers, in decreasing order of score times (1 - F1).
        bins: Calibration: a `Bin` for each tenth of the scores that has answers.
        calibration_error: The expected calibration error, between 0 and 1.
        by_question_word: A `Group` for each question word, if answers are spans.
        by_length: A `Group` for each length of the right answer, if answers are
            spans.
        version: The version of SQuAD of the official scores, or an empty
            string.
        official: The official scores, as `metrics.squad` returns them.
        bins_before: `bins` with a temperature of 1, if it is known.
        calibration_error_before: `calibration_error` with a temperature of 1.
        located: For an index, the number of questions whose passage is known.
        recall: For an index, the percentage of these questions whose passage is
            among the first 1, 5 and 20 passages that the search returns.
        points: For an index, a `Point` for each score, the highest first.
    """

    questions: int
    exact_match: float
    f1: float
    by_task: list[Group]
    by_answer: list[Group]
    errors: list[JudgedAnswer]
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
        """Number of wrong answers. `errors` may have only some of them."""
        return self.questions - round(self.questions * self.exact_match / 100.0)
