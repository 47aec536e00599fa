"""Passages that `ask` reads, sorted by a search and a ranker, and the answers merged from them."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

from keras_qa._arguments import must_be
from keras_qa.answering.answer_features import QuestionWords, asks_for_other_kind, is_section
from keras_qa.answering.opening import DEFAULT_CHECKER, DEFAULT_RANKER, is_default
from keras_qa.answering.reranker import Reranker
from keras_qa.example import Answer, AnswerLocation, Example
from keras_qa.metrics.answers import normalize_answer
from keras_qa.preprocessing.confidence import FEATURES, Confidence
from keras_qa.preprocessing.preprocessor import PassageSpan, Preprocessor

if TYPE_CHECKING:
    from keras_qa.documents import Passage, Retriever

# Number of passages that a ranker sorts.
CANDIDATES = 16
# Number of passages that are read for a question, of those of a search and of those of a ranker.
PASSAGES, RANKED_PASSAGES = 10, 7
# The share of the best score of the search, which is added to the logit of a ranker.
SEARCH_WEIGHT = 4.0

# Number of answers to a question whose probabilities are computed.
_ANSWERS = 10
# Logits are divided by this, so that features are of the order of 1.
_LOGITS = 4.0

# A ranker, or what `Reranker` loads.
AnyReranker: TypeAlias = Reranker | str | os.PathLike[str]

# The passages of a question, and the logits of a ranker, or `None` without one.
Selection: TypeAlias = tuple[Sequence["Passage"], npt.NDArray[np.float64] | None]


def open_ranker(ranker: AnyReranker | None, name: str = "ranker") -> Reranker | None:
    """Returns a ranker, the argument `name`, and loads it if it is a name or a path."""
    if is_default(ranker, DEFAULT_RANKER, DEFAULT_CHECKER):
        return _load_default(ranker)
    if isinstance(ranker, (str, os.PathLike)):
        return Reranker(ranker)
    if not isinstance(ranker, (Reranker, type(None))):
        raise TypeError(must_be(name, "a `Reranker` or its name", ranker))
    return ranker


@functools.cache
def _load_default(name: str) -> Reranker:
    # For each question, loading would take longer than sorting.
    return Reranker(name)


def passages_to_read(ranker: Reranker | None) -> int:
    """Returns how many passages are read if nobody says."""
    return PASSAGES if ranker is None else RANKED_PASSAGES


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
    # Copies of a text, such as a page that prints a whole book, are read once.
    results = [_distinct(result)[:count] for result in retrieve(index, questions, 2 * count)]
    if ranker is None:
        return [(result, None) for result in results]
    texts = [[passage.text for passage in result] for result in results]
    selections: list[Selection] = []
    for result, logits in zip(results, ranker.logits(questions, texts, batch_size), strict=True):
        scores = logits + SEARCH_WEIGHT * search_shares(result)
        order = np.argsort(-scores, kind="stable")[:passages]
        selections.append(([result[number] for number in order], logits[order]))
    return selections


def _distinct(passages: Sequence[Passage]) -> list[Passage]:
    """Returns the first of the passages with the same text."""
    first: dict[str, Passage] = {}
    for passage in passages:
        first.setdefault(passage.text, passage)
    return list(first.values())


def search_shares(passages: Sequence[Passage]) -> npt.NDArray[np.float64]:
    """Returns each score of a search divided by the best one, or ones if that is impossible."""
    scores = np.array([passage.score for passage in passages], "float64")
    if not np.isfinite(scores).all() or scores.max(initial=0.0) <= 0:
        return np.ones(len(scores))
    shares: npt.NDArray[np.float64] = np.maximum(scores / scores.max(), 0.0)
    return shares


@dataclasses.dataclass(frozen=True)
class Candidate:
    """An answer, where passages mention it, the best mention first, and its `FEATURES`."""

    mentions: tuple[tuple[int, PassageSpan], ...]
    features: npt.NDArray[np.float64]

    @property
    def text(self) -> str:
        """The text of the best mention."""
        return self.mentions[0][1].text


def find_candidates(
    question: str, selection: Selection, spans: Sequence[Sequence[PassageSpan]]
) -> list[Candidate]:
    """Returns the best answers to a question from the spans of each passage, most likely first."""
    passages, logits = selection
    shares = search_shares(passages)
    bonus = SEARCH_WEIGHT * shares if logits is None else logits
    mentions: dict[str, list[tuple[int, PassageSpan]]] = {}
    for number, row in enumerate(spans):
        for span in row:
            key = normalize_answer(span.text) or span.text
            mentions.setdefault(key, []).append((number, span))
    for group in mentions.values():
        group.sort(key=lambda mention: -mention[1].odds - bonus[mention[0]])
    ordered = sorted(mentions.values(), key=lambda group: -group[0][1].odds - bonus[group[0][0]])[
        :_ANSWERS
    ]
    best = max((span.odds for row in spans for span in row), default=0.0)
    words = QuestionWords(question, passages)
    candidates = []
    for group in ordered:
        number, span = group[0]
        values = {
            "odds": span.odds / _LOGITS,
            "margin": (span.odds - best) / _LOGITS,
            "search": shares[number],
            "position": np.log1p(number),
            "agreement": np.log(len({passage for passage, _ in group})),
            "misfit": asks_for_other_kind(question, span.text),
            "section": is_section(passages[number].text, span.start, span.end),
            "echo": words.has_all(span.text),
            "title": words.is_title(span.text, number),
            "heading": words.in_heading(number),
            "missing": words.missing(number),
            "absent": words.absent(),
            "ranker": 0.0 if logits is None else logits[number] / _LOGITS,
        }
        candidates.append(
            Candidate(tuple(group), np.array([float(values[name]) for name in FEATURES]))
        )
    return candidates


def read_passages(
    model: Any,
    reader: Preprocessor,
    questions: Sequence[str],
    selections: Sequence[Selection],
    batch_size: int,
) -> list[list[list[PassageSpan]]]:
    """Returns for each question the spans of each of its passages that may answer it."""
    # The headings are read before a passage.
    examples = [
        Example([passage.heading, passage.text] if passage.heading else passage.text, question)
        for question, (passages, _) in zip(questions, selections, strict=True)
        for passage in passages
    ]
    spans = iter(reader.read_passages(model, examples, batch_size)) if examples else iter(())
    return [[next(spans) for _ in passages] for passages, _ in selections]


def feature_rows(candidates: Sequence[Candidate]) -> npt.NDArray[np.float64]:
    """Returns the features of candidates, `(candidates, features)`."""
    rows = [candidate.features for candidate in candidates]
    return np.array(rows, "float64").reshape(-1, len(FEATURES))


def rank_candidates(
    candidates: Sequence[Candidate],
    passages: Sequence[Passage],
    confidence: Confidence,
    no_answer: bool,
) -> list[Answer]:
    """Returns answers with their probabilities and places, and "no answer", in this order."""
    if not candidates:
        return [Answer("", 1.0)]
    scores = confidence.answers(feature_rows(candidates))
    answers = [
        _locate(candidate, float(score), passages)
        for candidate, score in zip(candidates, scores, strict=True)
    ]
    answers = _without_overlaps(sorted(answers, key=lambda answer: -answer.score))
    if no_answer:
        none = Answer("", confidence.unanswered(answers[0].score))
        answers.insert(sum(answer.score >= none.score for answer in answers), none)
    return answers


def _locate(candidate: Candidate, score: float, passages: Sequence[Passage]) -> Answer:
    """Returns the answer of a candidate, with the places of its mentions."""
    text = candidate.text
    # Each place has its part of the score.
    odds = np.array([span.odds for _, span in candidate.mentions])
    parts = np.exp(odds - odds.max())
    parts *= score / parts.sum()
    places: list[AnswerLocation] = []
    for (number, span), part in zip(candidate.mentions, parts.tolist(), strict=True):
        if span.start < 0:
            continue
        passage = passages[number]
        start, end = passage.span(span.start, span.end)
        location = AnswerLocation(passage.document, start, end, part, *passage.locate(start))
        same = next((n for n, other in enumerate(places) if _overlaps(location, other)), None)
        # The same mention in two passages that overlap.
        if same is None:
            places.append(location)
        else:
            total = places[same].score + part
            places[same] = dataclasses.replace(places[same], score=total)
    if not places:
        return Answer(text, score)
    first = places[0]
    return Answer(
        text,
        score,
        first.start,
        first.end,
        document=first.document,
        line=first.line,
        page=first.page,
        sources=tuple(places),
    )


def add_boxes(index: Retriever, answers: list[Answer]) -> list[Answer]:
    """Returns answers with their places on the pages of PDF files."""
    from keras_qa.documents import Index

    if not isinstance(index, Index):
        return answers
    result = []
    for answer in answers:
        # Answers need no PDFium. Another process may have removed the document.
        with contextlib.suppress(ImportError, KeyError):
            if answer.page is not None and answer.document is not None:
                boxes = index.boxes(answer.document, answer.start or 0, answer.end or 0)
                answer = dataclasses.replace(answer, boxes=boxes)
        result.append(answer)
    return result


def _without_overlaps(answers: Sequence[Answer]) -> list[Answer]:
    """Leaves out answers whose places all overlap those of a better answer."""
    kept: list[Answer] = []
    taken: list[AnswerLocation] = []
    for answer in answers:
        is_apart = (not any(_overlaps(source, t) for t in taken) for source in answer.sources)
        if not answer.sources or any(is_apart):
            kept.append(answer)
            taken += answer.sources
    return kept


def _overlaps(location: AnswerLocation, other: AnswerLocation) -> bool:
    return (
        location.document == other.document
        and location.start < other.end
        and other.start < location.end
    )
