"""How likely documents support claims, by their words and by models."""

from __future__ import annotations

import contextlib
import functools
import json
import pathlib
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from keras_qa._numbers import sigmoid
from keras_qa.answering.claim_features import (
    Evidence,
    find_evidence,
    has_conflict,
    make_questions,
)
from keras_qa.documents.facts import Facts, contains, find_facts
from keras_qa.documents.full_text import FullTextTokenizer
from keras_qa.documents.opposites import has_opposite, is_reversed

if TYPE_CHECKING:
    from keras_qa.answering.answerer import QuestionAnswerer
    from keras_qa.answering.reranker import Reranker
    from keras_qa.documents import Index

# Number of passages to search for a claim.
PASSAGES = 8
# Number of windows of sentences of these that a ranker sorts, and how many logits of the ranker are
# worth as much as all words of a claim.
WINDOWS, DISTANCE = 12, 8.0
# The lowest score of another answer of the reader that contradicts a claim, that of one that is
# shown alone, and the highest logit of support of evidence that contradicts by its negation.
CONTRADICTION, CORRECTION, NEGATED = 0.3, 0.75, -1.0
_NEGATION = re.compile(
    r"\b(not|no|never|none|cannot|without|neither|nor)\b|n['’]t\b", re.IGNORECASE
)


class Models(NamedTuple):
    """The models that check claims, if there are any."""

    reader: QuestionAnswerer | None = None
    ranker: Reranker | None = None
    checker: Reranker | None = None


def check_claims(
    claims: Sequence[str], queries: Sequence[str], index: Index, models: Models
) -> list[Evidence | None]:
    """Returns the evidence of each claim, with the probability that it supports the claim.

    `queries` are what to search for the claims. The evidence is `None` if no passage has a word of
    the query.
    """
    language = index.language or "en"
    with contextlib.closing(FullTextTokenizer(language)) as tokenizer:
        facts = [find_facts(claim, tokenizer) for claim in claims]
        results = index.search([*queries], k=PASSAGES)
        topics = [find_facts(query, tokenizer).stems for query in queries]
        # Several claims have the same passages.
        find = functools.cache(functools.partial(find_facts, tokenizer=tokenizer))
        windows = [
            find_evidence(fact, topic, passages, find)[:WINDOWS]
            for fact, topic, passages in zip(facts, topics, results, strict=True)
        ]
        if models.ranker is not None:
            _rank(queries, windows, models.ranker)
        best = [some[0] if some else None for some in windows]
        for claim, fact, evidence in zip(claims, facts, best, strict=True):
            if evidence is not None:
                _compare(claim, fact, evidence, tokenizer)
        if models.checker is not None:
            _check(claims, best, models.checker)
        # The questions are English.
        if models.reader is not None and language == "en":
            _read(claims, facts, best, models.reader, tokenizer)
    bias, weights = _read_weights("words" if models.reader is None else "reader")
    for claim, evidence in zip(claims, best, strict=True):
        if evidence is not None:
            features = evidence.features
            logit = sum(weight * features.get(name, 0.0) for name, weight in weights.items())
            evidence.score = float(sigmoid(np.array(bias + logit)))
            match = contains(evidence.passage.text, claim.rstrip(".!?…。！？।؟"))
            if match:
                evidence.score, evidence.instead = 1.0, None
                evidence.start, evidence.end = match.span()
    return best


@functools.cache
def _read_weights(kind: str) -> tuple[float, dict[str, float]]:
    """Returns the bias and the weights of the features, without (`words`) or with a `reader`.

    `python -m benchmarks.verify_preset` writes their file.
    """
    path = pathlib.Path(__file__).with_name("claim_weights.json")
    fitted = json.loads(path.read_text(encoding="utf-8"))[kind]
    return fitted["bias"], dict(zip(fitted["features"], fitted["weights"], strict=True))


def _rank(queries: Sequence[str], windows: list[list[Evidence]], ranker: Reranker) -> None:
    """Sorts the windows of each claim by a ranker and by their words."""
    texts = [[window.text for window in some] for some in windows]
    for some, logits in zip(windows, ranker.logits(queries, texts), strict=True):
        for window, logit in zip(some, logits, strict=True):
            window.distance += 0.3 * window.features["numbers"] - float(logit) / DISTANCE
        some.sort(key=lambda window: window.distance)


def _check(claims: Sequence[str], best: Sequence[Evidence | None], checker: Reranker) -> None:
    """Adds the checker's logits of support, and what contradicts a claim by a negation."""
    texts = [[] if evidence is None else [evidence.text] for evidence in best]
    for claim, evidence, logits in zip(claims, best, checker.logits(claims, texts), strict=True):
        if evidence is None:
            continue
        evidence.features["support"] = float(logits[0])
        negated = [_NEGATION.search(text) is not None for text in (claim, evidence.text)]
        if evidence.instead is None and logits[0] < NEGATED and len({*negated}) == 2:
            evidence.instead = evidence.text


def _compare(claim: str, facts: Facts, evidence: Evidence, tokenizer: FullTextTokenizer) -> None:
    """Adds the evidence as what is said instead, if words tell that it contradicts the claim."""
    opposites = {
        "reversed": is_reversed(claim, evidence.text, tokenizer),
        "opposite": has_opposite(claim, evidence.text, tokenizer),
    }
    evidence.features |= {name: float(value) for name, value in opposites.items()}
    if any(opposites.values()) or has_conflict(facts, evidence):
        evidence.instead = evidence.text


def _read(
    claims: Sequence[str],
    facts: Sequence[Facts],
    best: Sequence[Evidence | None],
    reader: QuestionAnswerer,
    tokenizer: FullTextTokenizer,
) -> None:
    """Asks the reader for each number and name of the claims in the passages of their evidence."""
    questions = [
        (evidence, fact, question)
        for claim, fact, evidence in zip(claims, facts, best, strict=True)
        if evidence is not None
        for question in make_questions(claim, fact)
    ]
    answers = reader.answer(
        [evidence.passage.text for evidence, _, _ in questions],
        [question.text for _, _, question in questions],
        no_answer=False,
        verbose=0,
    )
    for (evidence, fact, question), answer in zip(questions, answers, strict=True):
        read = find_facts(answer.text, tokenizer)
        kind = "name" if question.number is None else "number"
        is_same, is_open = question.is_answered_by(read), question.is_open(evidence.facts)
        # Another answer than a name may say the same in other words.
        is_rival = not is_same and (kind == "number" or (bool(read.names) and not is_open))
        if is_same or is_rival:
            name = f"{kind}_{'read' if is_same else 'differs'}"
            evidence.features[name] = max(evidence.features.get(name, 0.0), answer.score)
        is_better = answer.score > max(CONTRADICTION, evidence.certainty)
        if is_better and (is_rival or (is_open and not is_same)):
            is_sure = answer.score >= CORRECTION and answer.text in evidence.text
            is_sure = is_sure and question.is_corrected_by(read, fact, evidence.facts)
            evidence.instead = answer.text if is_sure else evidence.text
            evidence.certainty = answer.score
