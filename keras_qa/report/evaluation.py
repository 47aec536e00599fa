"""Reports of answers: of an answerer, or of answers from elsewhere."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from keras_qa import decoding, metrics
from keras_qa.answering import QuestionAnswerer
from keras_qa.example import Answer, Example, answered_examples, to_examples
from keras_qa.files import replace_atomically
from keras_qa.preprocessing.ask_options import SpanDetails
from keras_qa.report import groups, page
from keras_qa.report.findings import Bin, Findings, JudgedAnswer

BINS = 10


@dataclasses.dataclass(frozen=True)
class Report(Findings):
    """The result of an evaluation. Its attributes are those of `Findings`."""

    @property
    def scores(self) -> dict[str, float]:
        """The scores as `QuestionAnswerer.evaluate` returns them."""
        return {"exact_match": self.exact_match, "f1": self.f1, "examples": self.questions}

    def html(self, title: str = "Evaluation") -> str:
        """Returns the report as one HTML page without external files.

        Args:
            title: The heading.
        """
        return page.page(self, title)

    def save(self, path: str | os.PathLike[str], title: str = "Evaluation") -> None:
        """Writes the page to a file.

        Args:
            path: The file.
            title: The heading.
        """
        with replace_atomically(path) as partial:
            # JSON may contain half a surrogate pair, which UTF-8 cannot encode.
            partial.write_bytes(self.html(title).encode("utf-8", "xmlcharrefreplace"))


def evaluate(
    answerer: QuestionAnswerer,
    examples: Iterable[Example | Mapping[str, Any]],
    errors: int = 20,
    batch_size: int = 32,
    verbose: int | str = "auto",
    version: str | None = None,
) -> Report:
    """Answers the questions of examples and reports on the answers.

    Args:
        answerer: A trained `QuestionAnswerer`.
        examples: Examples with answers.
        errors: Number of errors to keep.
        batch_size: Number of questions per step.
        verbose: As in `QuestionAnswerer.answer`.
        version: As in `judge`.

    Returns:
        A `Report`.

    Raises:
        ValueError: If there are no examples, or an example has no answer and
            none has `answer_start`.

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
    if not data or not has_spans(data):
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
    """Reports on given answers.

    If an example has `answer_start`, the answers of all examples are spans. An
    example without an answer is then unanswerable, and the right answer to it
    is an `Answer` with an empty text.

    Args:
        examples: Examples with answers.
        answers: An `Answer` for each example.
        errors: Number of errors to keep.
        version: The version of SQuAD whose official scores to compute: `"1.1"`
            or `"2.0"`. `None` selects 2.0 if an example has no answer, else
            1.1; and no official scores if the answers are not spans.
        details: The outputs of the reader before calibration and before the
            decision for no answer, if they are known.

    Returns:
        A `Report`.

    Raises:
        ValueError: If there are no examples, or another number of answers.

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
    wrong = [item for item in judged if not item.exact_match]
    wrong.sort(key=lambda item: -item.answer.score * (1.0 - item.f1))
    bins, error = _calibration(judged)
    found = Report(
        questions=len(judged),
        exact_match=100.0 * sum(item.exact_match for item in judged) / len(judged),
        f1=100.0 * sum(item.f1 for item in judged) / len(judged),
        by_task=groups.by_task(judged),
        by_answer=groups.by_answer(judged),
        errors=wrong[:errors],
        bins=bins,
        calibration_error=error,
    )
    if details is not None:
        bins, error = _calibration(_judged(examples, details.before))
        found = dataclasses.replace(found, bins_before=bins, calibration_error_before=error)
    if version is None and not has_spans(examples):
        return found
    version = version or ("1.1" if all(item.answers for item in examples) else "2.0")
    return dataclasses.replace(
        found,
        by_question_word=groups.by_question_word(judged),
        by_length=groups.by_length(judged),
        version=version,
        official=_official(examples, answers, version, details),
    )


def has_spans(examples: Sequence[Example]) -> bool:
    """Whether an example has `answer_start`, so that SQuAD's official scores are meaningful."""
    return any(item.answer_start for item in examples)


def _judged(examples: Sequence[Example], answers: Sequence[Answer]) -> list[JudgedAnswer]:
    judged = []
    for item, answer in zip(examples, answers, strict=True):
        right = item.answers or [""]
        exact_match = metrics.exact_match(answer.text, right)
        judged.append(JudgedAnswer(item, answer, exact_match, metrics.f1(answer.text, right)))
    return judged


def _official(
    examples: Sequence[Example],
    answers: Sequence[Answer],
    version: str,
    details: SpanDetails | None,
) -> dict[str, float]:
    """The official scores of SQuAD, with the best thresholds of version 2.0 if `details` allow."""
    if details is not None and version == "2.0" and any(details.no_answer):
        return metrics.squad_in_order(
            details.spans, examples, version, details.no_answer, details.threshold
        )
    return metrics.squad_in_order([answer.text for answer in answers], examples, version)


def _calibration(judged: list[JudgedAnswer]) -> tuple[list[Bin], float]:
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
