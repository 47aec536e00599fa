"""Baselines that learn nothing: the span or the choice whose surroundings share most words.

The sliding window of Richardson et al. 2013, "MCTest", was SQuAD's first baseline (Rajpurkar et
al. 2016).
"""

from __future__ import annotations

import collections
import re
from collections.abc import Sequence

import numpy as np

# Words that are in no answer, and have no weight in a question.
_STOP = (
    "a an the of in on at to by for from with and or but as is are was were be been being am do "
    "does did has have had will would can could may might must shall should not no it its this "
    "that these those there their they them he she his her him we our you your i who whom whose "
    "what which when where why how many much than then so such into about after before during "
    "between also"
)
STOP = frozenset(_STOP.split())
MOST_WORDS = 4
_WORD = re.compile(r"\w+(?:[.,'’-]\w+)*")


def answer(text: str, question: str) -> str:
    """Answers a question by a span of a text.

    Every run of up to four words that are neither in the question nor stop words is a candidate.
    Its score sums the question's words in a window around it, with as many words on each side as
    the question has. Each counts log(1 + 1/n) for n occurrences in the text, and less with its
    distance. Of equal candidates the longest wins, then the first.

    Args:
        text: The text.
        question: The question.

    Returns:
        The answer as it is written in the text, or an empty string.
    """
    spans = [match.span() for match in _WORD.finditer(text)]
    words = [text[start:end].lower() for start, end in spans]
    asked = {match[0].lower() for match in _WORD.finditer(question)} - STOP
    counts = collections.Counter(words)
    weight = np.array([np.log(1 + 1 / counts[word]) if word in asked else 0.0 for word in words])
    free = np.array([word not in asked and word not in STOP for word in words], bool)
    reach = max(len(asked), 2)
    # The score of each place from the words around it.
    near = np.zeros(len(words))
    for distance in range(1, reach + 1):
        near[distance:] += weight[:-distance] * (1 - distance / (2 * reach))
        near[:-distance] += weight[distance:] * (1 - distance / (2 * reach))
    best, found = (-1.0, 0), ""
    for first in np.flatnonzero(free):
        last = first
        while last + 1 < len(words) and free[last + 1] and last + 1 - first < MOST_WORDS:
            last += 1
        if first and free[first - 1] and last - first < MOST_WORDS - 1:
            continue
        score = (float(near[first : last + 1].mean()), last - first)
        if score > best:
            best, found = score, text[spans[first][0] : spans[last][1]]
    return found


def choose(text: str, question: str, choices: Sequence[str]) -> str:
    """Chooses an answer: algorithms 1 and 2 of Richardson et al. 2013, section 4.1.

    The score of a choice is that of the best window of the text, as long as the number of different
    words of the question and the choice. Each of these counts log(1 + 1/n) for n occurrences in the
    text. The shortest distance from a word of the question to one of the choice, as a share of the
    text, is subtracted. Of equal choices the first wins.

    Args:
        text: The text.
        question: The question.
        choices: The choices.

    Returns:
        One of the choices.
    """
    words = _words(text)
    counts = collections.Counter(words)
    asked = {*_words(question)}

    def score(choice: str) -> float:
        offered = {*_words(choice)}
        known = asked | offered
        weights = [np.log(1 + 1 / counts[word]) if word in known else 0.0 for word in words]
        sums = np.cumsum([0.0, *weights])
        width = min(len(known), len(words))
        best = float((sums[width:] - sums[: len(sums) - width]).max())
        ends = [
            [place for place, word in enumerate(words) if word in some]
            for some in (asked - STOP, offered - asked - STOP)
        ]
        if not all(ends) or len(words) < 2:
            return best - 1.0
        gaps = np.abs(np.subtract.outer(*map(np.array, ends)))
        return best - float(gaps.min()) / (len(words) - 1)

    return max(choices, key=score)


def _words(text: str) -> list[str]:
    return [match[0].lower() for match in _WORD.finditer(text)]
