"""How likely documents support claims, by their words and by what a reader reads."""

from __future__ import annotations

import contextlib
import functools
import json
import math
import pathlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from keras_qa.answering.claim_features import Evidence, find_evidence, make_questions
from keras_qa.documents.facts import Facts, contains, find_facts
from keras_qa.documents.full_text import FullTextTokenizer

if TYPE_CHECKING:
    from keras_qa.answering.answerer import QuestionAnswerer
    from keras_qa.documents import Index

# Number of passages to search for a claim.
PASSAGES = 8
# The lowest score of another answer of the reader that contradicts a claim.
CONTRADICTION = 0.3


def check_claims(
    claims: Sequence[str],
    queries: Sequence[str],
    index: Index,
    reader: QuestionAnswerer | None = None,
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
        best = [
            find_evidence(fact, topic, passages, tokenizer)
            for fact, topic, passages in zip(facts, topics, results, strict=True)
        ]
        # The questions are English.
        if reader is not None and language == "en":
            _read(claims, facts, best, reader, tokenizer)
    for claim, evidence in zip(claims, best, strict=True):
        if evidence is not None:
            evidence.score = _score(evidence.features, reader is not None)
            match = contains(evidence.passage.text, claim.rstrip(".!?…。！？।؟"))
            if match:
                evidence.score, evidence.instead = 1.0, None
                evidence.start, evidence.end = match.span()
    return best


def _read(
    claims: Sequence[str],
    facts: Sequence[Facts],
    best: Sequence[Evidence | None],
    reader: QuestionAnswerer,
    tokenizer: FullTextTokenizer,
) -> None:
    """Asks the reader for each number and name of the claims in the passages of their evidence."""
    asked = [
        (evidence, question)
        for claim, fact, evidence in zip(claims, facts, best, strict=True)
        if evidence is not None
        for question in make_questions(claim, fact)
    ]
    answers = reader.answer(
        [evidence.passage.text for evidence, _ in asked],
        [question.text for _, question in asked],
        no_answer=False,
        verbose=0,
    )
    for (evidence, question), answer in zip(asked, answers, strict=True):
        kind = "name" if question.number is None else "number"
        is_same = question.is_answered_by(find_facts(answer.text, tokenizer))
        name = f"{kind}_read" if is_same else f"{kind}_differs"
        evidence.features[name] = max(evidence.features.get(name, 0.0), answer.score)
        is_better = answer.score > max(CONTRADICTION, evidence.certainty)
        if is_better and not is_same and question.is_open(evidence.facts):
            evidence.instead, evidence.certainty = answer.text, answer.score


@functools.cache
def _fitted() -> dict[str, dict[str, Any]]:
    path = pathlib.Path(__file__).with_name("claim_weights.json")
    return json.loads(path.read_text(encoding="utf-8"))


def _score(features: dict[str, float], is_read: bool) -> float:
    """Returns the probability of support by the logistic regression for these features."""
    fitted = _fitted()["reader" if is_read else "words"]
    weights = zip(fitted["features"], fitted["weights"], strict=True)
    logit: float = fitted["bias"] + sum(
        weight * features.get(name, 0.0) for name, weight in weights
    )
    return 1 / (1 + math.exp(-logit))
