"""What a report says of answers that are spans of their texts."""

from __future__ import annotations

import re
from collections.abc import Sequence

from keras_qa import metrics
from keras_qa.example import Answer, Example
from keras_qa.preprocessing import SpanDetails

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


def official(
    examples: Sequence[Example],
    answers: Sequence[Answer],
    version: str,
    details: SpanDetails | None = None,
) -> dict[str, float]:
    """The official scores of answers, in the order of their examples.

    Args:
        examples: The examples. They need no ids.
        answers: As many answers; one without text says that there is none.
        version: As in `metrics.squad`.
        details: What the reader said beside them, for the best thresholds of version 2.0.

    Returns:
        What `metrics.squad` gives.
    """
    if details is not None and version == "2.0" and any(details.no_answer):
        return metrics.squad_in_order(
            details.spans, examples, version, details.no_answer, details.threshold
        )
    return metrics.squad_in_order([answer.text for answer in answers], examples, version)
