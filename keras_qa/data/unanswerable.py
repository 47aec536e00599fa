"""Data augmentation: unanswerable questions."""

from __future__ import annotations

import contextlib
import dataclasses
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from keras_qa.data.sqlite import sqlite3
from keras_qa.example import Example, to_examples
from keras_qa.metrics.answers import normalize_answer
from keras_qa.text.sentence_splitting import sentence_spans

KINDS = ("found", "removed", "changed")

_WORD = re.compile(r"\w+")
# Numbers, and names: words in capitals that follow each other.
_NUMBER = re.compile(r"\b\d[\d,.]*\b")
_NAME = re.compile(r"\b[A-Z][\w'’-]*(?: [A-Z][\w'’-]*)*")

# Number of search results among which a text without the answer is looked for.
SEARCH_RESULTS = 20


def add_unanswerable(
    examples: Iterable[Example | Mapping[str, Any]],
    share: float = 0.5,
    seed: int = 0,
    kinds: Sequence[str] = KINDS[:1],
) -> list[Example]:
    """Adds questions with texts that are similar to their own but do not contain the answer.

    A reader trained only on texts with answers always gives one. In documents, however, most
    retrieved passages are relevant but do not contain the answer. New examples are of three kinds:

    - `"found"`: another text of the examples, the most similar one that contains no answer of the
      question. It is found by BM25 over word stems (FTS5 of SQLite).
    - `"removed"`: the text without the sentences that contain an answer.
    - `"changed"`: the same text, and another name or number from it in the question.

    Args:
        examples: Examples with answers.
        share: Share of the answered questions to add, drawn at random, between 0 and 1.
        seed: Seed of the draw.
        kinds: The kinds to draw from, `"found"` alone by default. If a question does not allow the
            drawn kind, the next one replaces it.

    Returns:
        The examples, followed by the new examples without an answer. Questions that allow no kind
        are skipped.

    Raises:
        ValueError: If `share` is not between 0 and 1, or a kind is unknown.

    Reference:
        Clark and Gardner 2018, "Simple and Effective Multi-Paragraph Reading Comprehension",
        arXiv:1710.10723. Rajpurkar et al. 2018, "Know What You Don't Know", arXiv:1806.03822, for
        the rule-based kinds.

    Examples:
        >>> from keras_qa import Example, datasets
        >>> texts = "Ada wrote notes.", "The notes of the choir are lost.", "It rains."
        >>> example = Example(texts[0], "Who wrote the notes?", "Ada", 0)
        >>> others = [Example(text, "What?", text, 0) for text in texts[1:]]
        >>> examples = [example, *others]
        >>> added = datasets.unanswerable.add_unanswerable(examples, 1.0, kinds=["found"])[3]
        >>> added.question, added.text, added.answers
        ('Who wrote the notes?', 'The notes of the choir are lost.', ())
    """
    if not 0 <= share <= 1:
        raise ValueError(f"`share` must be between 0 and 1. Received: share={share!r}.")
    if isinstance(kinds, str) or not kinds or not set(kinds) <= set(KINDS):
        raise ValueError(f"`kinds` must be some of {list(KINDS)}. Received: kinds={kinds!r}.")
    data = to_examples(examples)
    answered = [position for position, item in enumerate(data) if item.answers]
    random = np.random.default_rng(seed)
    drawn = random.permutation(answered)[: round(share * len(answered))]
    added = []
    index = _TextIndex(data if "found" in kinds else [])
    makers: dict[str, Callable[[Example], Example | None]] = {
        "found": index.with_similar_text,
        "removed": _without_sentences,
        "changed": lambda item: _with_changed_question(item, random),
    }
    with contextlib.closing(index.connection):
        for position in sorted(drawn):
            first = int(random.integers(len(kinds)))
            candidates = (makers[kind](data[position]) for kind in [*kinds[first:], *kinds[:first]])
            new = next((example for example in candidates if example is not None), None)
            if new is not None:
                added.append(new)
    return data + added


class _TextIndex:
    """The texts of examples in an index of words."""

    def __init__(self, data: Sequence[Example]) -> None:
        self.texts = list(dict.fromkeys(item.plain_text for item in data))
        self.normalized = [f" {normalize_answer(text)} " for text in self.texts]
        self.connection = sqlite3.connect(":memory:")
        self.connection.execute(
            "CREATE VIRTUAL TABLE texts USING fts5(text, tokenize='porter unicode61')"
        )
        rows = ((text,) for text in self.texts)
        self.connection.executemany("INSERT INTO texts VALUES (?)", rows)

    def with_similar_text(self, item: Example) -> Example | None:
        """Pairs a question with the most similar text that contains none of its answers."""
        # Quoted, words of a question are never operators of FTS5.
        words = " OR ".join(f'"{word}"' for word in _WORD.findall(item.question))
        if not words:
            return None
        command = "SELECT rowid FROM texts WHERE texts MATCH ? ORDER BY rank, rowid LIMIT ?"
        answers = [f" {normalize_answer(answer)} " for answer in item.answers]
        for (row,) in self.connection.execute(command, (words, SEARCH_RESULTS)).fetchall():
            text, normalized = self.texts[row - 1], self.normalized[row - 1]
            if text != item.plain_text and not any(answer in normalized for answer in answers):
                return _unanswerable(item, text=text)
        return None


def _without_sentences(item: Example) -> Example | None:
    """Removes the sentences that contain an answer."""
    text = item.plain_text
    sentences = [text[start:end] for start, end in sentence_spans(text)]
    answers = [answer.lower() for answer in item.answers]
    remaining = [s for s in sentences if not any(answer in s.lower() for answer in answers)]
    if not 2 <= len(remaining) < len(sentences):
        return None
    rest = " ".join(remaining)
    # An answer may be longer than a sentence, or stand across two.
    normalized = normalize_answer(rest)
    if any(normalize_answer(answer) in normalized for answer in answers):
        return None
    return _unanswerable(item, text=rest)


def _with_changed_question(item: Example, random: np.random.Generator) -> Example | None:
    """Replaces a name or number in the question by another one of the text."""
    text, question = item.plain_text, item.question
    answers = " ".join(item.answers).lower()
    starts = {start for start, _ in sentence_spans(text)}
    for pattern in (_NAME, _NUMBER):
        # The first word of a sentence may be in capitals without being a name.
        mentions = [
            m[0] for m in pattern.finditer(text) if m.start() not in starts or pattern is _NUMBER
        ]
        replaceable = [m for m in pattern.finditer(question) if m.start() > 0 and m[0] in mentions]
        replacements = sorted(
            mention
            for mention in set(mentions)
            if mention not in question
            and not any(part.lower() in answers for part in mention.split())
        )
        if replaceable and replacements:
            old = replaceable[int(random.integers(len(replaceable)))]
            new = replacements[int(random.integers(len(replacements)))]
            changed = question[: old.start()] + new + question[old.end() :]
            return _unanswerable(item, question=changed)
    return None


def _unanswerable(item: Example, **changes: Any) -> Example:
    return dataclasses.replace(
        item,
        **changes,
        answers=(),
        answer_start=(),
        supporting_facts=(),
        id=None if item.id is None else f"{item.id}-unanswerable",
        document=None,
    )
