"""Locates the known answers of questions in an index, and finds passages without them."""

from __future__ import annotations

import dataclasses
import itertools
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from keras_qa._arguments import to_integer
from keras_qa.documents.document import Passage, Retriever, retrieve
from keras_qa.documents.index import Index
from keras_qa.example import Example, to_examples

# Number of questions to search at a time.
_QUESTIONS = 256
# Passages to search beyond the wanted ones: some of them may answer the question.
_DISCARDED = 50


class DocumentSpan(NamedTuple):
    """A part of a document's text, from `start` to `end`."""

    document: str
    start: int
    end: int


def texts_in(index: Index, examples: Sequence[Example]) -> list[list[DocumentSpan]]:
    """Returns, for each example, the spans of its text in the documents of an index.

    Without a `document` of the example, its text must be the whole text of a document.
    """
    names_by_text: dict[str, list[str]] = {
        item.plain_text: [] for item in examples if item.document is None
    }
    if names_by_text:
        for name in index.names:
            text = index.text(name)
            if text in names_by_text:
                names_by_text[text].append(name)
    return [
        list(_texts(index, item, position, names_by_text)) for position, item in enumerate(examples)
    ]


def _texts(
    index: Index, item: Example, position: int, names_by_text: dict[str, list[str]]
) -> Iterator[DocumentSpan]:
    text = item.plain_text
    if item.document is None:
        for name in names_by_text[text]:
            yield DocumentSpan(name, 0, len(text))
        return
    try:
        start = index.text(item.document).find(text)
    except KeyError:
        raise ValueError(
            f"The example at position {position} is about the document {item.document!r}, which "
            "the index does not have. Give the name that `index.names` has."
        ) from None
    if start >= 0:
        yield DocumentSpan(item.document, start, start + len(text))


def answers_in(example: Example, texts: Sequence[DocumentSpan]) -> list[DocumentSpan]:
    """Returns the places of an example's answers, by the places of its text from `texts_in`."""
    return [
        DocumentSpan(text.document, text.start + start, text.start + start + len(answer))
        for text in texts
        for answer, start in zip(example.answers, example.answer_start, strict=False)
    ]


def rank(passages: Sequence[Passage], answers: Sequence[DocumentSpan]) -> int | None:
    """Returns the rank of the first passage that contains a whole answer, from 1, or `None`."""
    for number, passage in enumerate(passages, start=1):
        for document, start, end in answers:
            if passage.document == document and passage.start <= start and end <= passage.end:
                return number
    return None


def hard_negatives(
    index: Retriever, examples: Iterable[Example | Mapping[str, Any]], k: int = 7
) -> list[Example]:
    """Finds passages that match a question well, but do not answer it.

    They are the highest-ranked passages that mention none of the example's answers, and that are
    neither part of its text nor contain it. `answering.Reranker.fit` learns from them.

    Args:
        index: A `documents.Index`, or another `documents.Retriever`.
        examples: Examples, or mappings with the same keys: questions, texts and answers.
        k: Maximum number of passages for each question.

    Returns:
        The examples with `negatives`, best first. They are empty if the search finds none.

    Examples:
        >>> import os, tempfile
        >>> from keras_qa import Example
        >>> from keras_qa.documents import Index, hard_negatives
        >>> index = Index.create(os.path.join(tempfile.mkdtemp(), "a.index"), language="en")
        >>> index.add([{"name": "lamp", "text": "It lasts two years."}])
        1
        >>> index.add([{"name": "desk", "text": "The desk lasts ten years."}])
        1
        >>> example = Example("It lasts two years.", "How long does it last?", "two years")
        >>> hard_negatives(index, [example])[0].negatives
        ('The desk lasts ten years.',)
    """
    k = to_integer("k", k)
    data = to_examples(examples)
    result = []
    for first in range(0, len(data), _QUESTIONS):
        part = data[first : first + _QUESTIONS]
        results = retrieve(index, [item.question for item in part], k + _DISCARDED)
        for item, passages in zip(part, results, strict=True):
            texts = dict.fromkeys(passage.text for passage in passages)
            wrong = (text for text in texts if not _may_answer(item, text))
            result.append(dataclasses.replace(item, negatives=tuple(itertools.islice(wrong, k))))
    return result


def _may_answer(example: Example, text: str) -> bool:
    """Whether a passage mentions an answer, or is a part of the example's text or contains it."""
    # Scripts without spaces have no word boundaries, so only Latin letters and digits count.
    answers = "|".join(re.escape(answer.casefold()) for answer in example.answers if answer)
    mention = rf"(?<![a-z0-9])(?:{answers})(?![a-z0-9])"
    own = example.plain_text
    is_own = own and (text in own or own in text)
    return bool(is_own or (answers and re.search(mention, text.casefold())))
