"""Reports of answers: of an answerer, from an index of documents, or from elsewhere."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np

from keras_qa import metrics
from keras_qa.answering.answerer import QuestionAnswerer
from keras_qa.answering.document_answers import AnyReranker
from keras_qa.example import Answer, Example, answered_examples, to_examples
from keras_qa.metrics.answers import contains_answer
from keras_qa.preprocessing.ask_calibration import AskOptions
from keras_qa.preprocessing.calibration import expected_calibration_error
from keras_qa.preprocessing.preprocessor import SpanDetails
from keras_qa.preprocessing.selective import risk_coverage
from keras_qa.report import findings
from keras_qa.report.findings import Bin, JudgedAnswer, Point
from keras_qa.report.page import Report

if TYPE_CHECKING:
    from keras_qa.documents import Index
    from keras_qa.documents.gold import DocumentSpan

BINS = 10
# Numbers of passages for which the recall is computed.
RECALL_AT = (1, 5, 20)


def evaluate(
    answerer: QuestionAnswerer,
    examples: Iterable[Example | Mapping[str, Any]],
    index: Index | None = None,
    errors: int = 20,
    batch_size: int = 32,
    verbose: int | str = "auto",
    version: str | None = None,
    passages: int | None = None,
    ranker: AnyReranker | None = "auto",
    **options: Unpack[AskOptions],
) -> Report:
    """Answers the questions of examples and reports on the answers.

    With an `index`, the questions are asked of its documents, not of the texts of the examples, and
    the report also has the recall of retrieval, and the risk against the coverage of the answers.
    Retrieval has found the answer of an example if a passage contains a right answer at its offset:
    in the document that the example names by `document`, or, if it names none, in a document with
    the text of the example.

    Args:
        answerer: A trained `QuestionAnswerer`.
        examples: Examples with answers. For readers of spans, one without an answer is
            unanswerable.
        index: A `documents.Index`, or `None`.
        errors: Number of errors to keep.
        batch_size: Number of questions per step; with an index, of windows.
        verbose: As in `QuestionAnswerer.answer`.
        version: As in `judge`.
        passages: With an index, as in `QuestionAnswerer.ask`.
        ranker: With an index, as in `QuestionAnswerer.ask`.
        **options: With an index, as in `QuestionAnswerer.ask`.

    Returns:
        A `Report`. With an index, it has `located`, `recall`, `right`, `refused` and `points`, the
        answers of its `errors` have `start` and `end` in the text of the example, or `None`, and
        their `sources` are in the documents.

    Raises:
        ValueError: If there are no examples, an example has no answer and none has `answer_start`,
            or an example names a document that is not in the index. Also as `QuestionAnswerer.ask`.

    Examples:
        >>> import keras_qa
        >>> from keras_qa import report
        >>> stories = keras_qa.datasets.babi.simulate(task=1, examples=60, seed=0)
        >>> qa = keras_qa.QuestionAnswerer(seed=0).fit(stories[:50], epochs=1, verbose=0)
        >>> result = report.evaluate(qa, stories[50:])
        >>> result.questions, [group.name for group in result.by_task]
        (10, ['1'])
        >>> result.html().startswith("<!DOCTYPE html>")
        True
    """
    data = to_examples(examples)
    if not data or not has_spans(data):
        data = answered_examples(data)
    if index is None:
        given = {"passages": passages, "ranker": None if ranker == "auto" else ranker, **options}
        names = [name for name, value in given.items() if value is not None or name in options]
        if names:
            raise ValueError(
                f"`{names[0]}` is an option of answers from an index. Pass the `index`, or omit "
                "the option."
            )
        answers, details = answerer.answer_in_detail(data, batch_size, verbose)
        return judge(data, answers, errors, version, details)

    # `documents` needs SQLite, which some builds of Python lack.
    from keras_qa.documents import gold

    texts = gold.texts_in(index, data)
    questions = [item.question for item in data]
    answers = answerer.ask(
        index,
        questions,
        passages=passages,
        batch_size=batch_size,
        verbose=verbose,
        ranker=ranker,
        boxes=False,
        **options,
    )
    retrieved = index.search(questions, max(RECALL_AT))
    golds = [gold.answers_in(item, spans) for item, spans in zip(data, texts, strict=True)]
    ranks = [
        gold.rank(results, spans) for results, spans in zip(retrieved, golds, strict=True) if spans
    ]
    shown = [_in_text(answer, spans) for answer, spans in zip(answers, texts, strict=True)]
    return dataclasses.replace(
        judge(data, shown, errors, version),
        located=len(ranks),
        recall={
            most: 100.0 * sum(rank is not None and rank <= most for rank in ranks) / len(ranks)
            for most in RECALL_AT
            if ranks
        },
        right=_share(contains_answer(*pair) for pair in _pairs(data, answers, True)),
        refused=_share(not text for text, _ in _pairs(data, answers, False)),
        points=_points(data, answers),
    )


def judge(
    examples: Sequence[Example],
    answers: Sequence[Answer],
    errors: int = 20,
    version: str | None = None,
    details: SpanDetails | None = None,
) -> Report:
    """Reports on given answers.

    If an example has `answer_start`, the answers of all examples are spans. An example without an
    answer is then unanswerable, and the right answer to it is an `Answer` with an empty text.

    Args:
        examples: Examples with answers.
        answers: An `Answer` for each example.
        errors: Number of errors to keep.
        version: The version of SQuAD whose official scores to compute: `"1.1"` or `"2.0"`. `None`
            selects 2.0 if an example has no answer, else 1.1; and no official scores if the answers
            are not spans.
        details: The outputs of the reader before the decision for no answer, if they are known.

    Examples:
        >>> from keras_qa import Answer, Example, report
        >>> examples = [Example("Ann left.", "Who left?", "Ann"), Example("A.", "Why?", "so")]
        >>> result = report.judge(examples, [Answer("Ann", 0.9), Answer("Bob", 0.7)])
        >>> result.exact_match, [item.answer.text for item in result.errors]
        (50.0, ['Bob'])
    """
    if not examples or len(examples) != len(answers):
        raise ValueError(
            "`examples` and `answers` must be as many, and at least one. Received "
            f"{len(examples)} examples and {len(answers)} answers."
        )
    judged = []
    for item, answer in zip(examples, answers, strict=True):
        right = item.answers or [""]
        exact_match = metrics.exact_match(answer.text, right)
        if answer.text in item.choices:
            # Punctuation may be the only difference between two choices.
            exact_match = float(answer.text in right)
        judged.append(JudgedAnswer(item, answer, exact_match, metrics.f1(answer.text, right)))
    wrong = [item for item in judged if not item.exact_match]
    wrong.sort(key=lambda item: -item.answer.score * (1.0 - item.f1))
    bins, error = _calibration(judged)
    report = Report(
        questions=len(judged),
        exact_match=100.0 * sum(item.exact_match for item in judged) / len(judged),
        f1=100.0 * sum(item.f1 for item in judged) / len(judged),
        by_task=findings.by_task(judged),
        by_answer=findings.by_answer(judged),
        by_source=findings.by_source(judged),
        errors=wrong[:errors],
        bins=bins,
        calibration_error=error,
    )
    if version is None and not has_spans(examples):
        return report
    version = version or ("1.1" if all(item.answers for item in examples) else "2.0")
    return dataclasses.replace(
        report,
        by_question_word=findings.by_question_word(judged),
        by_length=findings.by_length(judged),
        version=version,
        official=_official(examples, answers, version, details),
    )


def has_spans(examples: Sequence[Example]) -> bool:
    """Whether an example has `answer_start`, so that SQuAD's official scores are meaningful."""
    return any(item.answer_start for item in examples)


def _official(
    examples: Sequence[Example],
    answers: Sequence[Answer],
    version: str,
    details: SpanDetails | None,
) -> dict[str, float]:
    """The official scores of SQuAD, with the best thresholds of version 2.0 if `details` allow."""
    if details is not None and version == "2.0" and any(details.no_answer):
        return metrics.squad(details.spans, examples, version, details.no_answer, details.threshold)
    return metrics.squad([answer.text for answer in answers], examples, version)


def _calibration(judged: list[JudgedAnswer]) -> tuple[list[Bin], float]:
    scores = np.array([item.answer.score for item in judged])
    right = np.array([item.exact_match for item in judged])
    numbers = np.clip(np.ceil(scores * BINS).astype("int64") - 1, 0, BINS - 1)
    bins = []
    for number in range(BINS):
        inside = numbers == number
        if inside.any():
            ends = number / BINS, (number + 1) / BINS
            means = float(scores[inside].mean()), float(right[inside].mean())
            bins.append(Bin(*ends, int(inside.sum()), *means))
    return bins, expected_calibration_error(scores, right, BINS)


def _pairs(
    examples: Sequence[Example], answers: Sequence[Answer], answerable: bool
) -> list[tuple[str, Sequence[str]]]:
    """Returns the texts of answers with the right ones, of examples that have any or none."""
    return [
        (answer.text, item.answers)
        for answer, item in zip(answers, examples, strict=True)
        if bool(item.answers) == answerable
    ]


def _share(values: Iterable[bool]) -> float | None:
    """Returns the percentage of true values, or `None` if there are no values."""
    entries = list(values)
    return 100.0 * sum(entries) / len(entries) if entries else None


def _points(examples: Sequence[Example], answers: Sequence[Answer]) -> list[Point]:
    pairs = [(answer, item) for answer, item in zip(answers, examples, strict=True) if answer.text]
    curve = risk_coverage(
        [answer.score for answer, _ in pairs],
        [contains_answer(answer.text, item.answers) for answer, item in pairs],
    )
    rows = zip(*(part.tolist() for part in (*curve, curve.precision)), strict=True)
    return [
        Point(threshold, count, count / len(examples), 1 - precision)
        for threshold, count, _, precision in rows
    ]


def _in_text(answer: Answer, texts: Sequence[DocumentSpan]) -> Answer:
    """The answer with offsets in the text of the example, or without offsets if it is not in it."""
    if answer.start is not None and answer.end is not None:
        for document, start, end in texts:
            if answer.document == document and start <= answer.start and answer.end <= end:
                return dataclasses.replace(
                    answer, start=answer.start - start, end=answer.end - start
                )
    return dataclasses.replace(answer, start=None, end=None)
