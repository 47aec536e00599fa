"""Training examples from questions about the documents of an index."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from keras_qa._arguments import to_integer
from keras_qa.documents.document import Passage, Retriever, retrieve
from keras_qa.example import Example, to_examples
from keras_qa.metrics.answers import plain_words
from keras_qa.preprocessing.answer_locating import nearest_spans

# Why a question has no passage.
NO_PASSAGE = "no passage has an accepted answer"
OTHER_DOCUMENT = "only other documents have it"
OTHER_TEXT = "the passages that have it differ from the text of the table"

# Number of passages of a search, and of questions to search at a time.
_PASSAGES, _QUESTIONS = 30, 256
# The share of the words of a question's text that its passage has, at least.
_SHARED_WORDS = 0.4
# Marks of Markdown and reStructuredText, which a passage may lack.
_MARKS = re.compile(r"[`*|\\]|\]\([^)]*\)|[\[\]]")


@dataclasses.dataclass(frozen=True)
class IndexExamples:
    """Examples whose texts are passages of an index.

    Args:
        examples: Questions with the passage that answers them, and questions with passages that do
            not. A text begins with the headings above the passage.
        missing: For each question without a passage its position, from 1, and the reason.
        questions: The number of questions that have an answer.
    """

    examples: list[Example]
    missing: dict[int, str]
    questions: int

    def summary(self) -> str:
        """Returns a line for people: how many questions have a passage, and why others have not."""
        answered = self.questions - len(self.missing)
        text = f"{answered:,} of {self.questions:,} questions have a passage with their answer"
        parts = [
            f"{count:,}: {reason}"
            for reason in (NO_PASSAGE, OTHER_DOCUMENT, OTHER_TEXT)
            if (count := sum(item == reason for item in self.missing.values()))
        ]
        return f"{text} ({'; '.join(parts)})." if parts else f"{text}."


def examples_from_index(
    index: Retriever,
    questions: Iterable[Example | Mapping[str, Any]],
    negatives: int = 1,
) -> IndexExamples:
    """Finds passages for questions with known answers, to train the reader of `ask`.

    A question needs its accepted answers only. `document`, the name of a document that answers, and
    `text`, the part of it that does, make the choice of the passage sure if they are given. A
    question without answers gets passages that the search finds, as examples without an answer.

    Args:
        index: A `documents.Index`, or another `documents.Retriever`.
        questions: Examples, or mappings with the same keys. `text` may be empty.
        negatives: Number of passages that do not answer, for each question.

    Returns:
        An `IndexExamples`.

    Raises:
        ValueError: If no question has a passage.

    Examples:
        >>> import os, tempfile
        >>> from keras_qa import recipes
        >>> from keras_qa.documents import Index
        >>> index = Index.create(os.path.join(tempfile.mkdtemp(), "a.index"), language="en")
        >>> index.add([{"name": "lamp", "text": "The lamp lasts two years."}])
        1
        >>> question = {"text": "", "question": "How long does the lamp last?"}
        >>> result = recipes.examples_from_index(index, [{**question, "answers": "two years"}])
        >>> result.examples[0].answers, result.examples[0].answer_start
        (('two years',), (15,))
        >>> result.summary()
        '1 of 1 questions have a passage with their answer.'
    """
    negatives = to_integer("negatives", negatives, 0)
    data = to_examples(questions)
    examples: list[Example] = []
    missing: dict[int, str] = {}
    for first in range(0, len(data), _QUESTIONS):
        part = data[first : first + _QUESTIONS]
        by_question = retrieve(index, [item.question for item in part], _PASSAGES)
        # The words of the text that answers find its passage best, and those of the answer do, too.
        texts = [
            plain_words(item.plain_text) or " ".join([item.question, *item.answers[:1]])
            for item in part
        ]
        by_text = retrieve(index, texts, _PASSAGES)
        for number, item in enumerate(part):
            if item.answers:
                result = _find_passage(item, [*by_text[number], *by_question[number]])
                if isinstance(result, str):
                    missing[first + number + 1] = result
                    continue
                examples.append(result)
            wrong = (hit for hit in by_question[number] if not _may_answer(item, hit))
            for hit, _ in zip(wrong, range(negatives), strict=False):
                examples.append(_example(item, hit))
    answerable = sum(bool(item.answers) for item in data)
    output = IndexExamples(examples, missing, answerable)
    if missing and len(missing) == answerable:
        summary = output.summary()
        raise ValueError(
            f"`questions` must have answers that passages of the index contain. {summary}"
        )
    return output


def _find_passage(item: Example, hits: Sequence[Passage]) -> Example | str:
    """Returns an example with the passage that answers, or the reason why there is none."""
    words = {*plain_words(item.plain_text).split()}
    best: tuple[float, Example] | None = None
    reason = NO_PASSAGE
    for hit in hits:
        located = _locate(item, hit)
        if located is None:
            continue
        if not _is_of(item, hit):
            reason = OTHER_DOCUMENT if reason == NO_PASSAGE else reason
            continue
        reason = OTHER_TEXT
        shared = len(words & {*plain_words(hit.text).split()}) / len(words) if words else 1.0
        if shared >= _SHARED_WORDS and (best is None or shared > best[0]):
            best = shared, located
    return reason if best is None else best[1]


def _is_of(item: Example, hit: Passage) -> bool:
    """Whether a passage is of the document of a question, if the question names one."""
    return item.document is None or f"/{hit.document}".endswith(f"/{item.document}")


def _may_answer(item: Example, hit: Passage) -> bool:
    if not item.answers:
        return False
    return (item.document is not None and _is_of(item, hit)) or _locate(item, hit) is not None


def _locate(item: Example, hit: Passage) -> Example | None:
    """Returns an example with a passage and its answer, or `None` if it has none."""
    example = _example(item, hit)
    text = example.plain_text
    # The heading is no part of the passage.
    first = len(text) - len(hit.text)
    # The words around the answer in the text of the table tell one place from another.
    near = dataclasses.replace(example, question=f"{item.question} {item.plain_text}")
    for answer in item.answers:
        for form in _forms(answer):
            spans = [span for span in nearest_spans(near, form) if span[0] >= first]
            if spans:
                start, end = spans[0]
                return dataclasses.replace(
                    example, answers=(text[start:end],), answer_start=(start,)
                )
    return None


def _forms(answer: str) -> Iterator[str]:
    """Yields an answer as it is, and without the marks that passages lack."""
    yield answer
    plain = " ".join(_MARKS.sub("", answer).split())
    yield plain
    # Emphasis by underscores and punctuation at the ends.
    yield plain.strip("_.,;:!?\"'()")


def _example(item: Example, hit: Passage) -> Example:
    return Example(
        [hit.heading, hit.text] if hit.heading else hit.text,
        item.question,
        id=item.id,
        document=hit.document,
        source=item.source,
    )
