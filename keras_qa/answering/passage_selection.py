"""Passages that `ask` reads: found by a search, sorted by a ranker, and weighted by both."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import numpy.typing as npt

from keras_qa._arguments import must_be
from keras_qa.answering.reranker import Reranker
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
    found = retrieve(index, questions, count)
    if ranker is None:
        return [(hits, np.zeros(len(hits))) for hits in found]
    texts = [[hit.text for hit in hits] for hits in found]
    result: list[Selection] = []
    for hits, logits in zip(found, ranker.logits(questions, texts, batch_size), strict=True):
        order = np.argsort(-logits, kind="stable")[:passages]
        result.append(([hits[place] for place in order], logits[order]))
    return result


def log_priors(selection: Selection, uses_search: bool = True) -> npt.NDArray[np.float64]:
    """Returns the log priors of an answer in each passage by search and by ranker.

    Returns:
        `(passages, 2)`, with a row of zeros if there are no passages. The best one of each is 0.
    """
    hits, logits = selection
    priors = np.zeros((max(len(hits), 1), 2))
    # Without a weight, scores may be any numbers.
    if uses_search and hits:
        priors[:, 0] = retrieval_priors([hit.score for hit in hits])
    if len(hits):
        priors[:, 1] = logits - logits.max()
    return priors
