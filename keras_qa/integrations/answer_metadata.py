"""What the integrations share: readers, rankers, searches, and where passages and answers are."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

from keras_qa._arguments import missing_extra, short_repr, to_integer, to_optional_integer
from keras_qa.answering.answerer import QuestionAnswerer
from keras_qa.answering.document_answers import (
    AnyReranker,
    Selection,
    open_ranker,
    select_passages,
)
from keras_qa.answering.loading import load
from keras_qa.example import Answer, AnswerLocation

_NAMES = ("document", "line", "page", "score", "start", "end")

# Number of characters of a source before and after an answer.
_AROUND = 200


def missing_package(module: str, package: str, error: ImportError) -> ImportError:
    """Returns the error of an integration whose package cannot be imported."""
    need = f"`keras_qa.integrations.{module}` needs {package}"
    return missing_extra(need, module.replace("_", "-"), error)


def open_reader(reader: object) -> QuestionAnswerer:
    """Returns a reader, and loads it if it is a name or a path."""
    opened = load(reader) if isinstance(reader, (str, os.PathLike)) else reader
    if not isinstance(opened, QuestionAnswerer):
        raise TypeError(
            "`reader` must be a `QuestionAnswerer`, or its name or path. Received: "
            f"{short_repr(reader)}, a {type(opened).__name__}."
        )
    return opened


def ranker_fields(model: AnyReranker, top_n: int | None, batch_size: int) -> dict[str, Any]:
    """Returns the checked fields of a component that sorts texts."""
    return {
        "ranker": open_ranker(model, "model"),
        "top_n": to_optional_integer("top_n", top_n),
        "batch_size": to_integer("batch_size", batch_size),
    }


def search(index: object, query: object, k: int) -> Selection:
    """Returns the passages for a query, best first, without logits of a ranker."""
    retriever: Any = index
    [selection] = select_passages(retriever, [check_query(query)], k, None, 1)
    return selection


def check_query(query: object) -> str:
    """Returns a query, or raises if it is not a string."""
    if not isinstance(query, str):
        raise TypeError(f"`query` must be a string. Received: {query!r:.80}.")
    return query


def to_metadata(item: object) -> dict[str, Any]:
    """Returns where a passage, an answer or a place of an answer is, and its score."""
    return {name: getattr(item, name) for name in _NAMES}


def find_sources(index: object, answer: Answer) -> Iterator[tuple[str, AnswerLocation]]:
    """Yields the text around each place that mentions an answer, and the place.

    Only an `Index` has the texts of documents. With another retriever it is the answer's own.
    """
    read: Any = getattr(index, "text", None)
    for source in answer.sources:
        start, end = max(0, source.start - _AROUND), source.end + _AROUND
        yield (read(source.document, start, end) if callable(read) else answer.text), source
