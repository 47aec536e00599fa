"""What a report says of answers that are spans of their texts."""

from __future__ import annotations

import contextlib
import dataclasses
import re
from collections.abc import Iterator, Sequence
from typing import Any

from keras_qa import metrics
from keras_qa.decoding import SpanDecoder, Spans
from keras_qa.example import Answer, Example

OTHER = "other"
NONE = "no answer"

_WORDS = re.compile(r"\b(how (?:many|much)|who|what|which|when|where|why|how)(?:m|se)?\b", re.I)
_LENGTHS = {1: "1 word", 2: "2 words", 3: "3 words", 5: "4 to 5 words", 10: "6 to 10 words"}
_LONGER = "11 words or more"

# The order of the tables.
QUESTION_WORDS = (
    *("what", "which", "who", "when", "where", "why", "how many", "how much", "how"),
    OTHER,
)
LENGTHS = (NONE, *_LENGTHS.values(), _LONGER)


def question_word(question: str) -> str:
    """The word that an English question asks with.

    Examples:
        >>> from keras_qa.report.spans import question_word
        >>> question_word("In which year did it end?"), question_word("Name it.")
        ('which', 'other')
    """
    found = _WORDS.search(" ".join(question.split()))
    return found[1].lower() if found else OTHER


def answer_length(answers: Sequence[str]) -> str:
    """How many words the first right answer has, as a part of a report.

    Examples:
        >>> from keras_qa.report.spans import answer_length
        >>> answer_length(["in the late spring"]), answer_length([])
        ('4 to 5 words', 'no answer')
    """
    if not answers:
        return NONE
    words = len(answers[0].split())
    return next((name for most, name in _LENGTHS.items() if words <= most), _LONGER)


def version_of(examples: Sequence[Example]) -> str:
    """The version of SQuAD that examples are like: 2.0 where one has no answer."""
    return "1.1" if all(item.answers for item in examples) else "2.0"


@dataclasses.dataclass(frozen=True)
class Raw:
    """What a reader said beside its answers.

    Args:
        before: The answers, with a temperature of 1.
        spans: The text of the best span of each, whether there is an answer
            or not.
        no_answer: The probability of no answer of each.
        threshold: The probability of no answer above which there is none.
    """

    before: list[Answer]
    spans: list[str]
    no_answer: list[float]
    threshold: float


def official(
    examples: Sequence[Example],
    answers: Sequence[Answer],
    version: str,
    raw: Raw | None = None,
) -> dict[str, float]:
    """The official scores of answers, in the order of their examples.

    Args:
        examples: The examples. They need no ids.
        answers: As many answers; one without text says that there is none.
        version: As in `metrics.squad`.
        raw: What the reader said, for the best thresholds of version 2.0.

    Returns:
        What `metrics.squad` gives.
    """
    if raw is not None and version == "2.0" and any(raw.no_answer):
        return metrics.squad_in_order(raw.spans, examples, version, raw.no_answer, raw.threshold)
    return metrics.squad_in_order([answer.text for answer in answers], examples, version)


@dataclasses.dataclass(frozen=True)
class Listener(SpanDecoder):
    """A decoder that keeps what it finds, and what it would find with a temperature of 1."""

    heard: list[tuple[Spans, Spans]] = dataclasses.field(default_factory=list)

    def __call__(self, start: Any, end: Any, words: Any, example: Any, k: int) -> Spans:
        found = super().__call__(start, end, words, example, k)
        cold = dataclasses.replace(self, temperature=1.0, heard=[])
        before = super(Listener, cold).__call__(start, end, words, example, 1)
        self.heard.append((found, before))
        return found

    def raw(self, examples: Sequence[Example]) -> Raw:
        """What was heard of these examples, all of which were asked in this order."""
        spans, before, chances = [], [], []
        rows = ((parts, row) for parts in self.heard for row in range(len(parts[0].start)))
        for ((found, cold), row), item in zip(rows, examples, strict=True):
            text = item.plain_text
            chances.append(float(found.no_answer[row]))
            spans.append(_span(text, found, row).text)
            answer, nothing = _span(text, cold, row), float(cold.no_answer[row])
            none = not answer.text or (self.no_answer and nothing > self.threshold)
            before.append(Answer("", nothing) if none else answer)
        return Raw(before, spans, chances, self.threshold if self.no_answer else 1.0)


def _span(text: str, spans: Spans, row: int) -> Answer:
    start, end = int(spans.start[row, 0]), int(spans.end[row, 0])
    if start < 0:
        return Answer("", 0.0)
    return Answer(text[start:end], float(spans.score[row, 0]), start, end)


@contextlib.contextmanager
def listening(answerer: Any) -> Iterator[Listener | None]:
    """Lets a listener take the place of a reader's decoder; `None` for models of other kinds."""
    model = getattr(answerer, "model_", None)
    decoder = getattr(model, "decoder", None)
    if model is None or not isinstance(decoder, SpanDecoder):
        yield None
        return
    model.decoder = Listener(**decoder.get_config())
    try:
        yield model.decoder
    finally:
        model.decoder = decoder
