"""The probability that a text does not answer a question."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from keras_qa._numbers import sigmoid
from keras_qa.decoding.decoder import NO_ANSWER_WEIGHTS, SpanDecoder, Spans
from keras_qa.example import Example

# Number of characters before and after a span that are near it, and of the beginning of a text,
# which names what the text is about.
NEAR = 80
# Names that begin with the same letters are equal, such as "Germany" and "German".
LETTERS = 5

# Probabilities closer to 0 or 1 count as this close.
_CLOSEST = 1e-9
# Steps of the fit. Each has the size for the steepest logistic function.
_STEPS = 1000

_WORD = re.compile(r"\w+")


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
    own, is_missing = _features(spans, examples)
    logit = first * own + second + third * is_missing
    # A text without any words has no answer.
    is_certain = spans.no_answer == 1.0
    chance = np.where(is_certain, 1.0, sigmoid(logit))
    rest = (1.0 - chance) / np.where(is_certain, 1.0, 1.0 - spans.no_answer)
    score, types = spans.score * rest[:, None], spans.answer_types * rest[:, None]
    return Spans(spans.start, spans.end, score, chance, types)


def fit_no_answer_weights(spans: Spans, examples: Sequence[Example]) -> tuple[float, float, float]:
    """Finds the `no_answer_weights` of a `SpanDecoder` by a logistic regression.

    A normal distribution around the default weights keeps them close to these if there are few
    examples.

    Args:
        spans: The best spans of a decoder with the default weights.
        examples: The texts, their questions and answers.

    Reference:
        Kamath et al. 2020, "Selective Question Answering under Domain Shift", arXiv:2006.09462: a
        classifier decides when a reader is right.
        Böhning and Lindsay 1988, "Monotonicity of quadratic-approximation algorithms": the steps.
    """
    default = np.array(NO_ANSWER_WEIGHTS)
    is_empty = np.array([not item.answers for item in examples], "float64")
    own, is_missing = _features(spans, examples)
    features = np.stack([own, np.ones(len(own)), is_missing], axis=1)
    inverse = np.linalg.inv(features.T @ features / 4 + np.eye(3))
    weights = default
    for _ in range(_STEPS):
        errors = sigmoid(features @ weights) - is_empty
        weights = weights - inverse @ (features.T @ errors + weights - default)
    first, second, third = weights.tolist()
    return first, second, third


def _features(
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
        >>> from keras_qa.preprocessing.no_answer import lacks_name
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
