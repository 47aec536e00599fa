"""Data augmentation: unanswerable questions."""

from __future__ import annotations

import contextlib
import dataclasses
import re
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from keras_qa.example import Example, to_examples
from keras_qa.files.sqlite import sqlite3
from keras_qa.metrics import normalize_answer

_WORD = re.compile(r"\w+")

# Number of search results among which a text without the answer is looked for.
SEARCH_RESULTS = 20


def add_unanswerable(
    examples: Iterable[Example | Mapping[str, Any]], share: float = 0.5, seed: int = 0
) -> list[Example]:
    """Adds questions with texts that are similar to their own but do not contain the answer.

    A reader trained only on texts with answers always gives one. In documents, however, most
    retrieved passages are relevant but do not contain the answer. The texts are found by BM25 over
    word stems (FTS5 of SQLite); texts that contain one of the answers are skipped.

    Args:
        examples: Examples with answers.
        share: Share of the answered questions to add, drawn at random, between 0 and 1.
        seed: Seed of the draw.

    Returns:
        The examples, followed by the new examples without an answer. Questions without a suitable
        text are skipped.

    Raises:
        ValueError: If `share` is not between 0 and 1.

    Reference:
        Clark and Gardner 2018, "Simple and Effective Multi-Paragraph Reading Comprehension",
        arXiv:1710.10723.

    Examples:
        >>> from keras_qa import Example
        >>> from keras_qa.datasets.unanswerable import add_unanswerable
        >>> texts = "Ada wrote notes.", "The notes of the choir are lost.", "It rains."
        >>> example = Example(texts[0], "Who wrote the notes?", "Ada", 0)
        >>> others = [Example(text, "What?", text, 0) for text in texts[1:]]
        >>> added = add_unanswerable([example, *others], share=1.0)[3]
        >>> added.question, added.text, added.answers
        ('Who wrote the notes?', 'The notes of the choir are lost.', ())
    """
    if not 0 <= share <= 1:
        raise ValueError(f"`share` must be between 0 and 1. Received: share={share!r}.")
    data = to_examples(examples)
    answered = [place for place, item in enumerate(data) if item.answers]
    drawn = np.random.default_rng(seed).permutation(answered)[: round(share * len(answered))]
    texts = list(dict.fromkeys(item.plain_text for item in data))
    known = [f" {normalize_answer(text)} " for text in texts]
    added = []
    with contextlib.closing(sqlite3.connect(":memory:")) as index:
        index.execute("CREATE VIRTUAL TABLE texts USING fts5(text, tokenize='porter unicode61')")
        index.executemany("INSERT INTO texts VALUES (?)", ((text,) for text in texts))
        for place in sorted(drawn):
            item = data[place]
            answers = [f" {normalize_answer(answer)} " for answer in item.answers]
            for found in _search(index, item.question):
                if texts[found] == item.plain_text:
                    continue
                if not any(answer in known[found] for answer in answers):
                    added.append(_without_answer(item, texts[found]))
                    break
    return data + added


def _search(index: sqlite3.Connection, question: str) -> list[int]:
    # Quoted, words of a question are never operators of FTS5.
    words = " OR ".join(f'"{word}"' for word in _WORD.findall(question))
    if not words:
        return []
    command = "SELECT rowid FROM texts WHERE texts MATCH ? ORDER BY rank, rowid LIMIT ?"
    return [row - 1 for (row,) in index.execute(command, (words, SEARCH_RESULTS))]


def _without_answer(item: Example, text: str) -> Example:
    name = None if item.id is None else f"{item.id}-unanswerable"
    return dataclasses.replace(
        item,
        text=text,
        answers=(),
        answer_start=(),
        supporting_facts=(),
        id=name,
        document=None,
    )
