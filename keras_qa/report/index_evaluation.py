"""Reports of answers from an index of documents: recall, and risk against coverage."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Unpack

from keras_qa import decoding, metrics
from keras_qa.answering import QuestionAnswerer
from keras_qa.example import Answer, Example, answered_examples, to_examples
from keras_qa.preprocessing import AskOptions
from keras_qa.report.evaluation import Report, has_spans, judge
from keras_qa.report.findings import Point

if TYPE_CHECKING:
    from keras_qa.documents import Index
    from keras_qa.documents.gold import Place

# Numbers of passages for which the recall is computed.
RECALL_AT = (1, 5, 20)


def evaluate_asking(
    answerer: QuestionAnswerer,
    index: Index,
    examples: Iterable[Example | Mapping[str, Any]],
    errors: int = 20,
    batch_size: int = 32,
    verbose: int | str = "auto",
    version: str | None = None,
    passages: int | None = None,
    **options: Unpack[AskOptions],
) -> Report:
    """Answers the questions of examples from an index and reports on the answers.

    In addition to what `evaluate` reports, it reports the recall of retrieval, and the risk against
    the coverage of the answers. Retrieval has found the answer of an example if a passage contains
    a right answer at its offset: in the document that the example names by `document`, or, if it
    names none, in a document with the text of the example.

    Args:
        answerer: A trained `QuestionAnswerer`.
        index: A `documents.Index`.
        examples: Examples with answers. One without an answer is unanswerable.
        errors: As in `evaluate`.
        batch_size: Number of windows per step.
        verbose: As in `QuestionAnswerer.ask`.
        version: As in `judge`.
        passages: As in `QuestionAnswerer.ask`.
        **options: As in `QuestionAnswerer.ask`.

    Returns:
        A `Report` with `located`, `recall` and `points`. The answers of its `errors` have `start`
        and `end` in the text of the example, or `None`; their `sources` are in the documents.

    Raises:
        ValueError: If there are no examples, an example has no answer and none has `answer_start`,
            or an example names a document that is not in the index. Also as
            `QuestionAnswerer.ask`.

    Examples:
        ```python
        found = report.evaluate_asking(qa, index, keras_qa.datasets.squad.load("questions.json"))
        found.recall, found.scores["exact_match"]
        ```
    """
    # `documents` needs SQLite, which some builds of Python lack.
    from keras_qa.documents import gold

    data = to_examples(examples)
    if not data or not has_spans(data):
        data = answered_examples(data)
    texts = gold.texts_in(index, data)
    questions = [item.question for item in data]
    answers = answerer.ask(
        index, questions, passages=passages, batch_size=batch_size, verbose=verbose, **options
    )
    found = index.search(questions, max(RECALL_AT))
    golds = [gold.answers_in(item, places) for item, places in zip(data, texts, strict=True)]
    ranks = [gold.rank(hits, places) for hits, places in zip(found, golds, strict=True) if places]
    shown = [_in_text(answer, places) for answer, places in zip(answers, texts, strict=True)]
    return dataclasses.replace(
        judge(data, shown, errors, version),
        located=len(ranks),
        recall=recall(ranks),
        points=_points(data, answers),
    )


def recall(ranks: Sequence[int | None]) -> dict[int, float]:
    """Returns the recall by number of passages, in percent.

    Args:
        ranks: The rank of each question's passage, from 1, or `None` if it was not found.

    Examples:
        >>> from keras_qa.report.index_evaluation import recall
        >>> recall([1, 5, None, 6])
        {1: 25.0, 5: 50.0, 20: 75.0}
    """
    return {
        most: 100.0 * sum(rank is not None and rank <= most for rank in ranks) / len(ranks)
        for most in RECALL_AT
        if ranks
    }


def _points(examples: Sequence[Example], answers: Sequence[Answer]) -> list[Point]:
    given = [(one, item) for one, item in zip(answers, examples, strict=True) if one.text]
    found = decoding.risk_coverage(
        [answer.score for answer, _ in given],
        [metrics.exact_match(answer.text, item.answers or ("",)) for answer, item in given],
    )
    rows = zip(*(part.tolist() for part in (*found, found.precision)), strict=True)
    return [
        Point(threshold, count, count / len(examples), 1 - precision)
        for threshold, count, _, precision in rows
    ]


def _in_text(answer: Answer, texts: Sequence[Place]) -> Answer:
    """The answer with offsets in the text of the example, or without offsets if it is not in it."""
    if answer.start is not None and answer.end is not None:
        for document, start, end in texts:
            if answer.document == document and start <= answer.start and answer.end <= end:
                here = answer.start - start, answer.end - start
                return dataclasses.replace(answer, start=here[0], end=here[1])
    return dataclasses.replace(answer, start=None, end=None)
