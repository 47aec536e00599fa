"""Answers to examples from the best spans of their texts, and the probability of no answer."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from keras_qa._numbers import sigmoid
from keras_qa.example import Answer, Example
from keras_qa.metrics.answers import normalize_answer
from keras_qa.preprocessing.decoder import NO_ANSWER_WEIGHTS, SpanDecoder, Spans
from keras_qa.preprocessing.preprocessor import RankedAnswers

# Number of characters before and after a span that are near it, and of the beginning of a text,
# which names what the text is about.
NEAR = 80
# Names that begin with the same letters are equal, such as "Germany" and "German".
LETTERS = 5

# Probabilities closer to 0 or 1 count as this close.
_CLOSEST = 1e-9

_WORD = re.compile(r"\w+")


def find_type(item: Example, types: Sequence[str]) -> int:
    """Returns the number of an example's answer among answer types, from 1; 0 for other answers.

    An answer with `answer_start` is a span, even if it is "no". Of several answers without it, all
    must be types, and the first counts.
    """
    names = [normalize_answer(answer) for answer in item.answers if types]
    if not names or item.answer_start or not set(names) <= set(types):
        return 0
    return types.index(names[0]) + 1


def rank_answers(
    spans: Spans, examples: list[Example], decoder: SpanDecoder, count: int
) -> RankedAnswers:
    """Returns the answers to each example, with "no answer" at its place."""
    ranked = []
    for row, item in enumerate(examples):
        nothing = float(spans.no_answer[row])
        answers = _answers(spans, row, item.plain_text, decoder.answer_types)
        if decoder.no_answer or not answers:
            none = Answer("", nothing)
            first = nothing > decoder.threshold or not answers
            rank = 0 if first else max(1, sum(answer.score >= nothing for answer in answers))
            answers.insert(rank, none)
        ranked.append(answers[:count])
    return ranked


def select_spans(answers: list[Answer], threshold: float) -> list[Answer]:
    """Returns the answers with a score above a threshold that do not overlap a better one.

    The answers are best first. If the first is "no answer", none is selected; if it is an answer
    type, such as "yes", only that is (Hu et al. 2019, arXiv:1908.05514: spans without overlaps).
    """
    # Starts and ends are independent in the output of a reader. If it marks two spans, the span
    # from the start of the first to the end of the second is as likely. So a span is left out if
    # each of two such spans is at least half as likely.
    if answers[0].start is None:
        return [answer for answer in answers[:1] if answer.text and answer.score > threshold]
    selected: list[Any] = []
    spans: list[Any] = [answer for answer in answers if answer.start is not None]
    for span in spans:
        if span.score <= threshold:
            break
        likely = [other for other in spans if other.score >= span.score / 2]
        first_end = min(other.end for other in likely if other.start == span.start)
        last_start = max(other.start for other in likely if other.end == span.end)
        is_apart = all(span.end <= other.start or other.end <= span.start for other in selected)
        if is_apart and first_end > last_start:
            selected.append(span)
    return selected


def best_texts(spans: Spans, examples: list[Example], decoder: SpanDecoder) -> list[str]:
    """Returns the best answer to each example other than no answer, empty if there is none."""
    types = decoder.answer_types
    ranked = (_answers(spans, row, item.plain_text, types) for row, item in enumerate(examples))
    return [answers[0].text if answers else "" for answers in ranked]


def _answers(spans: Spans, row: int, text: str, types: Sequence[str]) -> list[Answer]:
    """Returns the spans of an example and its answer types, best first."""
    answers = [
        Answer(text[start:end], float(score), int(start), int(end))
        for start, end, score in zip(
            spans.start[row], spans.end[row], spans.score[row], strict=True
        )
        if start >= 0
    ]
    answers += map(Answer, types, spans.answer_types[row].tolist())
    return sorted(answers, key=lambda answer: -answer.score)


def weigh_no_answer(
    spans: Spans, decoder: SpanDecoder, examples: Sequence[Example] | None = None
) -> Spans:
    """Replaces the probability of no answer by that of `no_answer_weights`; scores still sum to 1.

    `examples` are the texts and their questions. Without them, no name counts as missing.
    """
    if not decoder.no_answer or decoder.no_answer_weights == NO_ANSWER_WEIGHTS:
        return spans
    first, second, third = decoder.no_answer_weights
    own, is_missing = no_answer_features(spans, examples)
    logit = first * own + second + third * is_missing
    # A text without any words has no answer.
    is_certain = spans.no_answer == 1.0
    chance = np.where(is_certain, 1.0, sigmoid(logit))
    rest = (1.0 - chance) / np.where(is_certain, 1.0, 1.0 - spans.no_answer)
    score, types = spans.score * rest[:, None], spans.answer_types * rest[:, None]
    return Spans(spans.start, spans.end, score, chance, types)


def no_answer_features(
    spans: Spans, examples: Sequence[Example] | None
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """For each text: the logit of no answer, and 1 if a name is missing."""
    chance = np.clip(spans.no_answer, _CLOSEST, 1 - _CLOSEST)
    is_missing = np.zeros(len(chance))
    for row, item in enumerate(examples or ()):
        start, end = int(spans.start[row, 0]), int(spans.end[row, 0])
        is_missing[row] = start >= 0 and lacks_name(item.question, item.plain_text, start, end)
    return np.log(chance / (1 - chance)), is_missing


def lacks_name(question: str, text: str, start: int, end: int) -> bool:
    """Whether a name of a question is neither near a span nor at the text's beginning."""
    # A question without other words, such as one in capital letters, has no names.
    names = find_names(question)
    if len(names) == len(_WORD.findall(question)[1:]):
        return False
    regions = text[:NEAR].casefold(), text[max(start - NEAR, 0) : end + NEAR].casefold()
    return any(all(name not in region for region in regions) for name in names)


def find_names(question: str) -> list[str]:
    """Returns the first letters of the names and numbers of a question.

    They are the words that begin with a capital letter or a digit, without the first word.
    """
    words = _WORD.findall(question)[1:]
    return [first_letters(word) for word in words if word[0].isupper() or word[0].isdigit()]


def first_letters(word: str) -> str:
    """Returns the letters by which words are compared."""
    return word.casefold()[:LETTERS]
