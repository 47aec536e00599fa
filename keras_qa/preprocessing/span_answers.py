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
from keras_qa.preprocessing.decoder import SpanDecoder, Spans
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
            place = 0 if first else max(1, sum(answer.score >= nothing for answer in answers))
            answers.insert(place, none)
        ranked.append(answers[:count])
    return ranked


def select_spans(answers: list[Answer], threshold: float) -> list[Answer]:
    """Returns the answers with a score above a threshold that do not overlap a better one.

    The answers are best first. If the first one is "no answer", none is returned; if it is an
    answer type, such as "yes", it is the only one.

    Starts and ends are independent in the output of a reader. If it marks two spans, the span from
    the start of the first to the end of the second is as likely. So a span is left out if each of
    two such spans is at least half as likely.

    Reference:
        Hu et al. 2019, arXiv:1908.05514: several spans without overlaps.
    """
    if answers[0].start is None:
        return [one for one in answers[:1] if one.text and one.score > threshold]
    selected: list[Any] = []
    spans: list[Any] = [one for one in answers if one.start is not None]
    for span in spans:
        if span.score <= threshold:
            break
        likely = [one for one in spans if one.score >= span.score / 2]
        first_end = min(one.end for one in likely if one.start == span.start)
        last_start = max(one.start for one in likely if one.end == span.end)
        is_apart = all(span.end <= one.start or one.end <= span.start for one in selected)
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
    """Replaces the probability of no answer by that of `no_answer_weights`.

    Args:
        spans: The best spans of texts.
        decoder: The decoder that found them.
        examples: The texts and their questions. `None` if no name counts as missing.

    Returns:
        The spans. All scores of a text still add up to 1.
    """
    if not decoder.weighs_no_answer:
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
    """Whether a name or a number of a question is neither near a span nor at the text's beginning.

    Names and numbers are the words that begin with a capital letter or a digit, without the first
    word. A question without other words, such as one in capital letters, has none.

    Args:
        question: The question.
        text: The text.
        start: First character of the span.
        end: One past its last character.

    Examples:
        >>> from keras_qa.preprocessing.span_answers import lacks_name
        >>> text = "The bridge in Oslo was built in 1932."
        >>> lacks_name("When was the bridge in Oslo built?", text, 32, 36)
        False
        >>> lacks_name("When was the bridge in Bergen built?", text, 32, 36)
        True
    """
    words = _WORD.findall(question)[1:]
    names = [word for word in words if word[0].isupper() or word[0].isdigit()]
    if len(names) == len(words):
        return False
    places = text[:NEAR].casefold(), text[max(start - NEAR, 0) : end + NEAR].casefold()
    starts = [name.casefold()[:LETTERS] for name in names]
    return any(all(one not in place for place in places) for one in starts)
