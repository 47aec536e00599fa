"""What an answerer gets right and wrong, on one page, and how sure it is of it."""

from __future__ import annotations

import collections
import dataclasses
import os
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np

from keras_qa import decoding, metrics
from keras_qa.answering import QuestionAnswerer
from keras_qa.datasets import babi
from keras_qa.example import Answer, Example, answered_examples, to_examples
from keras_qa.files.atomic import replacing
from keras_qa.preprocessing import SpanDetails
from keras_qa.report import page, spans
from keras_qa.report.findings import Bin, Findings, Group, Judged

BINS = 10

_Key = TypeVar("_Key", bound=Hashable)


@dataclasses.dataclass(frozen=True)
class Report(Findings):
    """What `evaluate` found, and the page about it. Its attributes are those of `Findings`."""

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
            # Half a surrogate pair, which JSON may hold, is no character that UTF-8 has.
            written = self.html(title).encode("utf-8", "xmlcharrefreplace")
            partial.write_bytes(written)


def evaluate(
    answerer: QuestionAnswerer,
    examples: Iterable[Example | Mapping[str, Any]],
    errors: int = 20,
    batch_size: int = 32,
    verbose: int | str = "auto",
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
    examples: Sequence[Example],
    answers: Sequence[Answer],
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
        details: What a reader said before its answers were calibrated and
            weighed against there being none, where it is known.

    Returns:
        A `Report`.

    Raises:
        ValueError: If there are no examples, or not as many answers.

    Examples:
        >>> from keras_qa import Answer, Example, report
        >>> examples = [Example("Ann left.", "Who left?", "Ann"), Example("A.", "Why?", "so")]
        >>> found = report.judge(examples, [Answer("Ann", 0.9), Answer("Bob", 0.7)])
        >>> found.exact_match, [item.answer.text for item in found.errors]
        (50.0, ['Bob'])
    """
    if not examples or len(examples) != len(answers):
        raise ValueError(
            "`examples` and `answers` must be as many, and at least one. Received "
            f"{len(examples)} examples and {len(answers)} answers."
        )
    judged = _judged(examples, answers)
    found = _report(judged, errors)
    if details is not None:
        bins, error = _calibration(_judged(examples, details.before))
        found = dataclasses.replace(found, bins_before=bins, calibration_error_before=error)
    if version is None and not about_spans(examples):
        return found
    version = version or spans.version_of(examples)
    return dataclasses.replace(
        found,
        by_question_word=_by_question_word(judged),
        by_length=_by_length(judged),
        version=version,
        official=spans.official(examples, answers, version, details),
    )


def about_spans(examples: Sequence[Example]) -> bool:
    """Whether an example says where its answer stands, so that official scores mean something."""
    return any(item.answer_start for item in examples)


def _report(judged: list[Judged], errors: int) -> Report:
    bins, error = _calibration(judged)
    return Report(
        questions=len(judged),
        exact_match=100.0 * sum(item.exact_match for item in judged) / len(judged),
        f1=100.0 * sum(item.f1 for item in judged) / len(judged),
        by_task=_by_task(judged),
        by_answer=_by_answer(judged),
        errors=_errors(judged)[:errors],
        bins=bins,
        calibration_error=error,
    )


def _judged(examples: Sequence[Example], answers: Sequence[Answer]) -> list[Judged]:
    judged = []
    for item, answer in zip(examples, answers, strict=True):
        right = item.answers or [""]
        overlap = metrics.f1(answer.text, right)
        judged.append(Judged(item, answer, metrics.exact_match(answer.text, right), overlap))
    return judged


def _errors(judged: list[Judged]) -> list[Judged]:
    wrong = (item for item in judged if not item.exact_match)
    return sorted(wrong, key=lambda item: -item.answer.score * (1.0 - item.f1))


def _by_task(judged: list[Judged]) -> list[Group]:
    tasks = ((babi.task_of(item.example), item) for item in judged)
    groups = _groups([(task, item) for task, item in tasks if task is not None])
    return [groups[task] for task in sorted(groups)]


def _by_answer(judged: list[Judged]) -> list[Group]:
    groups = _groups([(item.example.answers[0], item) for item in judged if item.example.answers])
    return sorted(groups.values(), key=lambda group: (-group.questions, group.name))


def _by_question_word(judged: list[Judged]) -> list[Group]:
    groups = _groups([(spans.question_word(item.example.question), item) for item in judged])
    return [groups[name] for name in spans.QUESTION_WORDS if name in groups]


def _by_length(judged: list[Judged]) -> list[Group]:
    groups = _groups([(spans.answer_length(item.example.answers), item) for item in judged])
    return [groups[name] for name in spans.LENGTHS if name in groups]


def _groups(items: list[tuple[_Key, Judged]]) -> dict[_Key, Group]:
    parts: dict[_Key, list[Judged]] = {}
    for key, item in items:
        parts.setdefault(key, []).append(item)
    groups = {}
    for key, part in parts.items():
        wrong = collections.Counter(item.answer.text for item in part if not item.exact_match)
        confused = min(wrong, key=lambda text: (-wrong[text], text), default="")
        overlap = 100.0 * sum(item.f1 for item in part) / len(part)
        groups[key] = Group(str(key), len(part), len(part) - wrong.total(), confused, overlap)
    return groups


def _calibration(judged: list[Judged]) -> tuple[list[Bin], float]:
    scores = np.array([item.answer.score for item in judged])
    right = np.array([item.exact_match for item in judged])
    place = np.clip(np.ceil(scores * BINS).astype("int64") - 1, 0, BINS - 1)
    bins = []
    for number in range(BINS):
        inside = place == number
        if inside.any():
            ends = number / BINS, (number + 1) / BINS
            means = float(scores[inside].mean()), float(right[inside].mean())
            bins.append(Bin(*ends, int(inside.sum()), *means))
    return bins, decoding.expected_calibration_error(scores, right, BINS)
