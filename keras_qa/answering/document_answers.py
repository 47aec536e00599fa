"""Passages that `ask` reads, sorted by a search and a ranker, and the answers merged from them."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import numpy.typing as npt

from keras_qa._arguments import must_be
from keras_qa.answering.reranker import Reranker
from keras_qa.example import Answer, AnswerLocation
from keras_qa.metrics.answers import normalize_answer
from keras_qa.preprocessing.calibration import retrieval_priors

if TYPE_CHECKING:
    from keras_qa.documents import Passage, Retriever

# Number of passages that a ranker sorts.
CANDIDATES = 50

# A ranker, or what `Reranker` loads.
AnyReranker: TypeAlias = Reranker | str | os.PathLike[str]

# The passages of a question, and the logits of a ranker, or zeros.
Selection: TypeAlias = tuple[Sequence["Passage"], npt.NDArray[np.float64]]


def open_ranker(ranker: AnyReranker | None) -> Reranker | None:
    """Returns a ranker, and loads it if it is a name."""
    if isinstance(ranker, (str, os.PathLike)):
        return Reranker(ranker)
    if not isinstance(ranker, (Reranker, type(None))):
        raise TypeError(must_be("ranker", "a `Reranker` or its name", ranker))
    return ranker


def select_passages(
    index: Retriever,
    questions: list[str],
    passages: int,
    ranker: Reranker | None,
    batch_size: int,
    candidates: int | None = None,
) -> list[Selection]:
    """Searches the passages of each question, or with a ranker the best of more candidates."""
    # Not at the top: `documents` needs SQLite, which some builds of Python lack.
    from keras_qa.documents.document import retrieve

    count = max(passages, candidates or CANDIDATES) if ranker else passages
    results = retrieve(index, questions, count)
    if ranker is None:
        return [(result, np.zeros(len(result))) for result in results]
    texts = [[passage.text for passage in result] for result in results]
    selections: list[Selection] = []
    for result, logits in zip(results, ranker.logits(questions, texts, batch_size), strict=True):
        order = np.argsort(-logits, kind="stable")[:passages]
        selections.append(([result[number] for number in order], logits[order]))
    return selections


def log_priors(selection: Selection, uses_search: bool = True) -> npt.NDArray[np.float64]:
    """Returns the log priors of answers in passages by search and by ranker, `(passages, 2)`.

    Without passages there is a row of zeros. The best of each prior is 0.
    """
    passages, logits = selection
    priors = np.zeros((max(len(passages), 1), 2))
    # Without a weight, scores may be any numbers.
    if uses_search and passages:
        priors[:, 0] = retrieval_priors([passage.score for passage in passages])
    if len(passages):
        priors[:, 1] = logits - logits.max()
    return priors


def locator(passages: Iterable[str]) -> Callable[[int], tuple[int, int]]:
    """Returns a function from an offset in joined passages to a passage's number and an offset."""
    begins = np.cumsum([0, *(len(passage) + 1 for passage in passages)])

    def locate(position: int) -> tuple[int, int]:
        number = int(np.searchsorted(begins, position, side="right")) - 1
        return number, int(position - begins[number])

    return locate


@dataclasses.dataclass
class _Mention:
    """A mention of an answer. Several passages may contribute to its score."""

    text: str
    location: AnswerLocation

    def overlaps(self, document: str, start: int, end: int) -> bool:
        location = self.location
        return location.document == document and location.start < end and start < location.end


def merge_answers(answers: Sequence[Answer], passages: Sequence[Passage]) -> list[Answer]:
    """Returns answers with their places in documents, best first. Equal answers are merged.

    "No answer" stays first if it was first. Answers that are not spans stay without a place.
    """
    locate = locator(passage.text for passage in passages)
    mentions: dict[str, list[_Mention]] = {}
    none: list[Answer] = []
    placeless: list[Answer] = []
    for answer in answers:
        if answer.start is None or answer.end is None:
            (placeless if answer.text else none).append(answer)
            continue
        number, within = locate(answer.start)
        passage = passages[number]
        start, end = passage.span(within, within + answer.end - answer.start)
        span = (passage.document, start, end)
        key = normalize_answer(answer.text) or answer.text
        # The same mention in two overlapping passages, or with an article or a punctuation mark.
        same = next((item for item in mentions.get(key, ()) if item.overlaps(*span)), None)
        if same is not None:
            score = same.location.score + answer.score
            same.location = dataclasses.replace(same.location, score=score)
        elif not any(item.overlaps(*span) for items in mentions.values() for item in items):
            location = AnswerLocation(*span, answer.score, *passage.locate(start))
            mentions.setdefault(key, []).append(_Mention(answer.text, location))
    merged = [*placeless, *map(_merge_mentions, mentions.values())]
    merged.sort(key=lambda answer: -answer.score)
    if none:
        better = sum(answer.score >= none[0].score for answer in merged)
        merged.insert(0 if answers[0] is none[0] else max(better, 1), none[0])
    return merged


def _merge_mentions(mentions: list[_Mention]) -> Answer:
    mentions = sorted(mentions, key=lambda mention: -mention.location.score)
    best = mentions[0].location
    return Answer(
        mentions[0].text,
        min(sum(mention.location.score for mention in mentions), 1.0),
        best.start,
        best.end,
        document=best.document,
        line=best.line,
        page=best.page,
        sources=tuple(mention.location for mention in mentions),
    )
