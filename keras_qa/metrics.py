"""Metrics of answers: exact match and F1, as the SQuAD evaluation computes them."""

from __future__ import annotations

import collections
import re
import string
from collections.abc import Sequence

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_PUNCTUATION = str.maketrans("", "", string.punctuation)


def normalize_answer(answer: str) -> str:
    """Lower-cases an answer and drops punctuation, articles and extra white space.

    Follows the SQuAD evaluation (Rajpurkar et al. 2016, arXiv:1606.05250).

    Args:
        answer: The answer as written.

    Returns:
        The answer as it is compared.

    Example:

    >>> from keras_qa.metrics import normalize_answer
    >>> normalize_answer("The  Kitchen.")
    'kitchen'
    """
    return " ".join(_ARTICLES.sub(" ", answer.lower().translate(_PUNCTUATION)).split())


def exact_match(prediction: str, answers: Sequence[str]) -> float:
    """Whether a prediction is one of the right answers, after normalisation.

    Args:
        prediction: The predicted answer.
        answers: Every right answer.

    Returns:
        1.0 or 0.0.

    Example:

    >>> from keras_qa.metrics import exact_match
    >>> exact_match("the kitchen", ["Kitchen", "living room"])
    1.0
    """
    predicted = normalize_answer(prediction)
    return float(any(predicted == normalize_answer(answer) for answer in answers))


def f1(prediction: str, answers: Sequence[str]) -> float:
    """Overlap in words of a prediction with the right answer closest to it.

    Args:
        prediction: The predicted answer.
        answers: Every right answer.

    Returns:
        The harmonic mean of precision and recall over words, between 0 and 1.
        Where one of the two is empty: 1.0 if both are, else 0.0.

    Example:

    >>> from keras_qa.metrics import f1
    >>> f1("the small kitchen", ["kitchen"])
    0.6666666666666666
    """
    return max((_f1(prediction, answer) for answer in answers), default=0.0)


def _f1(prediction: str, answer: str) -> float:
    predicted = normalize_answer(prediction).split()
    expected = normalize_answer(answer).split()
    if not predicted or not expected:
        return float(predicted == expected)
    shared = sum((collections.Counter(predicted) & collections.Counter(expected)).values())
    return 2 * shared / (len(predicted) + len(expected))
