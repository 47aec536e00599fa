"""What an answerer gets right and wrong, on one page, and how sure it is of it."""

from __future__ import annotations

import collections
import dataclasses
import os
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from keras_qa import decoding, metrics
from keras_qa.answering import QuestionAnswerer
from keras_qa.datasets import babi
from keras_qa.example import Answer, Example, answered_examples, to_examples
from keras_qa.files.atomic import replacing
from keras_qa.report import page, spans
from keras_qa.tasks import SpanDetails

BINS = 10


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
class Report:
    """What `evaluate` found.

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

    @property
    def scores(self) -> dict[str, float]:
        """What `QuestionAnswerer.evaluate` gives."""
        return {"exact_match": self.exact_match, "f1": self.f1, "examples": self.questions}

    def html(self, title: str = "Evaluation") -> str:
        """The report as one page that needs nothing else.

        Args:
            title: Its heading.
        """
        return page.page(self, title)

    def save(self, path: str | os.PathLike[str], title: str = "Evaluation") -> None:
        """Writes the page to a file.

        Args:
            path: The file.
            title: Its heading.
        """
        with replacing(path) as partial:
            partial.write_text(self.html(title), encoding="utf-8")


def evaluate(
    answerer: QuestionAnswerer,
    examples: Iterable[Example | Mapping[str, Any]],
    errors: int = 20,
    batch_size: int = 32,
    verbose: Any = "auto",
    version: str | None = None,
) -> Report:
    """Asks an answerer questions whose answers are known, and looks at what it gets wrong.

    Args:
        answerer: A trained `QuestionAnswerer`.
        examples: Examples with answers.
        errors: Number of errors to show in full.
        batch_size: Number of questions a step.
        verbose: As in `QuestionAnswerer.answer`.
        version: As in `judge`.

    Returns:
        A `Report`.

    Raises:
        ValueError: If there are no examples, or one has no answer where none
            says where its answer stands.

    Examples:
        >>> import keras_qa
        >>> from keras_qa import report
        >>> stories = keras_qa.datasets.babi.simulate(task=1, examples=60, seed=0)
        >>> qa = keras_qa.QuestionAnswerer(seed=0).fit(stories[:50], epochs=1, verbose=0)
        >>> found = report.evaluate(qa, stories[50:])
        >>> found.questions, [group.name for group in found.by_task]
        (10, ['1'])
        >>> found.html().startswith("<!DOCTYPE html>")
        True
    """
    data = to_examples(examples)
    if not data or not about_spans(data):
        data = answered_examples(data)
    answers, details = answerer.answer_in_detail(data, batch_size, verbose)
    return judge(data, answers, errors, version, details)


def judge(
    examples: list[Example],
    answers: list[Answer],
    errors: int = 20,
    version: str | None = None,
    details: SpanDetails | None = None,
) -> Report:
    """Compares answers, from wherever they come, with the right ones.

    Where an example says where its answer stands, all are taken for questions
    about spans. An example without an answer then has the right answer that
    there is none, which an `Answer` says by an empty text.

    Args:
        examples: Examples with answers.
        answers: As many `Answer` objects.
        errors: Number of errors to keep.
        version: Version of SQuAD whose official scores to give: `"1.1"` or
            `"2.0"`. `None` for 2.0 where an example has no answer, else 1.1,
            and for none where no example says where its answer stands.
        details: What a reader said before its answers were calibrated and weighed
            against there being none, where it is known.

    Returns:
        A `Report`.
    """
    judged = [
        Judged(
            item,
            answer,
            metrics.exact_match(answer.text, item.answers or [""]),
            metrics.f1(answer.text, item.answers or [""]),
        )
        for item, answer in zip(examples, answers, strict=True)
    ]
    scores = np.array([item.answer.score for item in judged])
    right = np.array([item.exact_match for item in judged])
    tasks = [babi.task_of(item.example) for item in judged]
    wrong = sorted(
        (item for item in judged if not item.exact_match),
        key=lambda item: -item.answer.score * (1.0 - item.f1),
    )
    by_task = _groups(
        [(task, item) for task, item in zip(tasks, judged, strict=True) if task is not None]
    )
    by_answer = _groups(
        [(item.example.answers[0], item) for item in judged if item.example.answers]
    )
    found = Report(
        questions=len(judged),
        exact_match=100.0 * float(right.mean()),
        f1=100.0 * sum(item.f1 for item in judged) / len(judged),
        by_task=[by_task[task] for task in sorted(by_task)],
        by_answer=sorted(by_answer.values(), key=lambda group: (-group.questions, group.name)),
        errors=wrong[:errors],
        bins=_bins(scores, right),
        calibration_error=decoding.expected_calibration_error(scores, right, BINS),
    )
    if details is not None:
        scores = np.array([answer.score for answer in details.before])
        right = np.array(
            [
                metrics.exact_match(answer.text, item.answers or [""])
                for item, answer in zip(examples, details.before, strict=True)
            ]
        )
        found = dataclasses.replace(
            found,
            bins_before=_bins(scores, right),
            calibration_error_before=decoding.expected_calibration_error(scores, right, BINS),
        )
    if version is None and not about_spans(examples):
        return found
    version = version or spans.version_of(examples)
    words = _groups([(spans.question_word(item.example.question), item) for item in judged])
    lengths = _groups([(spans.answer_length(item.example.answers), item) for item in judged])
    return dataclasses.replace(
        found,
        by_question_word=[words[name] for name in spans.QUESTION_WORDS if name in words],
        by_length=[lengths[name] for name in spans.LENGTHS if name in lengths],
        version=version,
        official=spans.official(examples, answers, version, details),
    )


def about_spans(examples: list[Example]) -> bool:
    """Whether an example says where its answer stands, so that official scores mean something."""
    return any(item.answer_start for item in examples)


def _groups(items: list[tuple[Any, Judged]]) -> dict[Any, Group]:
    parts: dict[Any, list[Judged]] = {}
    for key, item in items:
        parts.setdefault(key, []).append(item)
    groups = {}
    for key, part in parts.items():
        wrong = collections.Counter(item.answer.text for item in part if not item.exact_match)
        confused = min(wrong, key=lambda text: (-wrong[text], text), default="")
        overlap = 100.0 * sum(item.f1 for item in part) / len(part)
        groups[key] = Group(str(key), len(part), len(part) - wrong.total(), confused, overlap)
    return groups


def _bins(scores: np.ndarray, right: np.ndarray) -> list[Bin]:
    place = np.clip(np.ceil(scores * BINS).astype("int64") - 1, 0, BINS - 1)
    bins = []
    for number in range(BINS):
        inside = place == number
        if inside.any():
            ends = number / BINS, (number + 1) / BINS
            means = float(scores[inside].mean()), float(right[inside].mean())
            bins.append(Bin(*ends, int(inside.sum()), *means))
    return bins
