"""A reimplementation of MLQA's F1 score, for tests: Lewis et al. 2020, arXiv:1910.07475."""

import re
import string
import sys
import unicodedata

import official_squad

PUNCTUATION = set(string.punctuation) | {
    chr(code) for code in range(sys.maxunicode) if unicodedata.category(chr(code)).startswith("P")
}
ARTICLES = {
    "en": r"\b(a|an|the)\b",
    "es": r"\b(un|una|unos|unas|el|la|los|las)\b",
    "vi": r"\b(của|là|cái|chiếc|những)\b",
    "de": r"\b(ein|eine|einen|einem|eines|einer|der|die|das|den|dem|des)\b",
    "ar": r"\sال^|ال",
}


def tokens(answer: str, language: str) -> list[str]:
    text = "".join(letter for letter in answer.lower() if letter not in PUNCTUATION)
    text = re.sub(ARTICLES[language], " ", text) if language in ARTICLES else text
    if language != "zh":
        return text.split()
    found, word = [], ""
    for letter in text:
        if re.search("[\u4e00-\u9fa5]", letter):
            found += [*word.split(), letter]
            word = ""
        else:
            word += letter
    return [*found, *word.split()]


def f1(predicted: str, expected: str, language: str) -> float:
    return official_squad.overlap(tokens(predicted, language), tokens(expected, language))
