"""Normalization, exact match and F1 of one answer."""

from __future__ import annotations

import collections
import re
import string
import unicodedata
from collections.abc import Sequence

from keras_qa._arguments import check_choice

# Copied from the script of MLQA, including its oddities.
_ARTICLES = {
    "en": re.compile(r"\b(a|an|the)\b"),
    "es": re.compile(r"\b(un|una|unos|unas|el|la|los|las)\b"),
    "vi": re.compile(r"\b(của|là|cái|chiếc|những)\b"),
    "de": re.compile(r"\b(ein|eine|einen|einem|eines|einer|der|die|das|den|dem|des)\b"),
    "ar": re.compile(r"\sال^|ال"),
}
# Scripts without spaces, in which each character is a word.
_CHARACTERS = {
    "zh": re.compile("[\u4e00-\u9fa5]"),
    "ja": re.compile("[\u3041-\u30ff\u3400-\u9fff\uff66-\uff9f]"),
    "th": re.compile("[\u0e01-\u0e5b]"),
}
LANGUAGES = ("ar", "de", "en", "es", "hi", "ja", "th", "vi", "zh")
_PUNCTUATION = str.maketrans("", "", string.punctuation)
_SPACES = str.maketrans(string.punctuation, " " * len(string.punctuation))


def normalize_answer(answer: str, language: str | None = None) -> str:
    """Lower-cases an answer and removes punctuation, articles and extra white space.

    It follows the SQuAD evaluation (Rajpurkar et al. 2016, arXiv:1606.05250), or, with a
    `language`, that of MLQA (Lewis et al. 2020, arXiv:1910.07475): English (`"en"`), German
    (`"de"`), Spanish (`"es"`), Arabic (`"ar"`), Hindi (`"hi"`), Vietnamese (`"vi"`) and Chinese
    (`"zh"`). Each Chinese character is a word. Japanese (`"ja"`) and Thai (`"th"`), which MLQA
    lacks, are treated like Chinese.
    """
    if language is None:
        return " ".join(_ARTICLES["en"].sub(" ", answer.lower().translate(_PUNCTUATION)).split())
    check_choice("language", language, LANGUAGES)
    plain = "".join(letter for letter in answer.lower() if not _is_punctuation(letter))
    if language in _ARTICLES:
        plain = _ARTICLES[language].sub(" ", plain)
    if language in _CHARACTERS:
        plain = _CHARACTERS[language].sub(r" \g<0> ", plain)
    return " ".join(plain.split())


def _is_punctuation(letter: str) -> bool:
    return letter in string.punctuation or unicodedata.category(letter)[0] == "P"


def exact_match(prediction: str, answers: Sequence[str]) -> float:
    """Compares a prediction with the right answers, after normalization.

    Args:
        prediction: The predicted answer.
        answers: All right answers.

    Returns:
        1.0 if one of them equals the prediction, else 0.0.

    Examples:
        >>> from keras_qa.metrics import exact_match
        >>> exact_match("the kitchen", ["Kitchen", "living room"])
        1.0
    """
    predicted = normalize_answer(prediction)
    return float(any(predicted == normalize_answer(answer) for answer in answers))


def f1(prediction: str, answers: Sequence[str]) -> float:
    """Computes the word F1 of a prediction and the most similar right answer.

    Args:
        prediction: The predicted answer.
        answers: All right answers.

    Returns:
        The harmonic mean of precision and recall over words, between 0 and 1. If the normalized
        prediction or answer is empty: 1.0 if both are, else 0.0.

    Examples:
        >>> from keras_qa.metrics import f1
        >>> f1("the small kitchen", ["kitchen"])
        0.6666666666666666
    """
    predicted = normalize_answer(prediction)
    return float(
        max((word_f1(predicted, normalize_answer(answer)) for answer in answers), default=0.0)
    )


def word_f1(predicted: str, expected: str) -> float:
    """F1 of two normalized answers, with the rounding errors of the official scripts."""
    left, right = predicted.split(), expected.split()
    if not left or not right:
        return int(left == right)
    shared = sum((collections.Counter(left) & collections.Counter(right)).values())
    if not shared:
        return 0
    precision, recall = shared / len(left), shared / len(right)
    return (2 * precision * recall) / (precision + recall)


# Number of words that `contains_answer` allows beside an accepted answer.
EXTRA_WORDS = 3


def contains_answer(text: str, answers: Sequence[str]) -> bool:
    """Whether a text is one of the accepted answers, alone or with at most three more words.

    Case, punctuation and English articles do not count. Answers from documents are compared so,
    because several spans of a document may answer a question.
    """
    words = f" {plain_words(text)} "
    for answer in answers:
        plain = plain_words(answer)
        extra = len(words.split()) - len(plain.split())
        # Without articles and marks, nothing is left of answers such as "A" and "%".
        same = answer.strip().casefold() == text.strip().casefold() != ""
        if same or (plain and f" {plain} " in words and extra <= EXTRA_WORDS):
            return True
    return False


def plain_words(text: str) -> str:
    """Returns normalized words. Unlike in SQuAD's scores, a punctuation mark ends a word."""
    words = text.lower().translate(_SPACES)
    return " ".join(_ARTICLES["en"].sub(" ", words).split())
