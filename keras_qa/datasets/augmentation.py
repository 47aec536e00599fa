"""More examples from few: words that are used alike change places."""

from __future__ import annotations

import collections
import dataclasses
import itertools
import math
import re
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from keras_qa._arguments import to_integer
from keras_qa.example import Example, to_examples
from keras_qa.text import sentence_spans

_WORD = re.compile(r"\w+(?:['’-]\w+)*")

# Two words are used alike if each is used as often as this, this much of what stands around either
# stands around both, and nothing stands around one more often by so many standard deviations.
_OFTEN = 10
_SHARED = 0.3
_DEVIATIONS = 5.0
_ROUNDS = 8

# What stands around a word, and how often.
_Uses = collections.Counter[tuple[tuple[str, ...], tuple[str, ...]]]


def interchangeable_words(examples: Iterable[Example | Mapping[str, Any]]) -> list[list[str]]:
    """Finds words of texts and questions that are used alike, so that they may change places.

    Words are used alike if the same words stand around them, in sentences as
    in questions with their answers. Only words of texts that questions or
    answers have, too, and names, which are always written with a capital, are
    looked at: what is said of others may depend on which they are, as with
    «took» and «dropped», or the days of a week.

    Args:
        examples: Examples with answers.

    Returns:
        Groups of two words or more, in lower case.

    Examples:
        >>> import keras_qa
        >>> from keras_qa.datasets.augmentation import interchangeable_words
        >>> stories = keras_qa.datasets.babi.simulate(task=1, examples=500, seed=0)
        >>> interchangeable_words(stories)[0]
        ['bathroom', 'bedroom', 'garden', 'hallway', 'kitchen', 'office']
    """
    lines, words = _lines(to_examples(examples))
    groups: list[list[str]] = []
    apart: set[tuple[str, str]] = set()
    for _ in range(_ROUNDS):
        # Words of a group count as one in what stands around others, which shows more of how these
        # are used. Two groups at once can hide what sets both apart, so each is tried alone, too.
        views = [[], *([group] for group in groups), groups]
        uses = [_uses(lines, words, view) for view in views]
        often = sorted(word for word in words if uses[0][word].total() >= _OFTEN)
        last, groups = groups, _groups(often, uses, apart)
        if groups == last:
            break
    return groups


def swap_words(
    examples: Iterable[Example | Mapping[str, Any]],
    copies: int,
    seed: int = 0,
    groups: list[list[str]] | None = None,
) -> list[Example]:
    """Gives copies of examples in which words that are used alike have changed places.

    In each copy the words of a group of `interchangeable_words` are exchanged for one another,
    the same way in the text, the question, the answers and the choices. What follows from a text
    then follows from its copy, and a model has to learn how, and cannot learn the words by heart
    (Andreas 2020, arXiv:1904.09545, exchanges what is used alike one at a time).

    Args:
        examples: Examples with answers that are words, without `answer_start`.
        copies: Number of copies of each.
        seed: Seed of the exchanges.
        groups: What `interchangeable_words` gave for the examples. `None` to
            find it here.

    Returns:
        The copies, without the examples themselves. Where no words are used alike there are none.

    Raises:
        TypeError: If an example is none, or a field has the wrong type.
        ValueError: If `copies` is negative, or an example has an `answer_start`.

    Examples:
        >>> import keras_qa
        >>> from keras_qa.datasets.augmentation import swap_words
        >>> stories = keras_qa.datasets.babi.simulate(task=1, examples=500, seed=0)
        >>> len(swap_words(stories, copies=3))
        1500
    """
    data = to_examples(examples)
    copies = to_integer("copies", copies, least=0)
    marked = next((place for place, item in enumerate(data) if item.answer_start), None)
    if marked is not None:
        raise ValueError(
            "`swap_words` is for answers that are words. The example at position "
            f"{marked} has an `answer_start`."
        )
    groups = interchangeable_words(data) if groups is None else groups
    if not groups:
        return []
    rng = np.random.default_rng(seed)
    return [_swapped(item, groups, rng) for _ in range(copies) for item in data]


def _lines(data: list[Example]) -> tuple[collections.Counter[tuple[str, ...]], set[str]]:
    """Sentences, and questions with their answers; and the words that may change places."""
    told, asked = set(), set()
    lines: collections.Counter[tuple[str, ...]] = collections.Counter()
    texts = sorted({item.plain_text for item in data})
    for text, following in itertools.zip_longest(texts, texts[1:], fillvalue=""):
        # A story that goes on after a question is counted once.
        if following.startswith(text):
            continue
        for start, end in sentence_spans(text):
            words = _words(text[start:end])
            told.update(words)
            lines[_lowered(words)] += 1
    for item in data:
        words = [*_words(item.question), "?", *_words(" ".join(item.answers))]
        asked.update(words)
        lines[_lowered(words)] += 1
    capital = {word.lower() for word in told if word[0].isupper()}
    names = capital - told - asked
    return lines, {*_lowered(told)} & (names | {*_lowered(asked)})


def _uses(
    lines: collections.Counter[tuple[str, ...]], words: set[str], groups: list[list[str]]
) -> dict[str, _Uses]:
    """What stands around each word, where words of a group count as one."""
    names = {word: f"group {place}" for place, group in enumerate(groups) for word in group}
    uses: dict[str, _Uses] = {word: collections.Counter() for word in words}
    for line, count in lines.items():
        named = tuple(names.get(word, word) for word in line)
        for place, word in enumerate(line):
            if word in uses:
                uses[word][named[:place], named[place + 1 :]] += count
    return uses


def _groups(
    words: list[str], views: list[dict[str, _Uses]], apart: set[tuple[str, str]]
) -> list[list[str]]:
    """Groups of words that are used alike in all views. Those that are not are put in `apart`."""
    # Of a whole language few words have any surroundings in common.
    near: dict[str, set[str]] = {word: set() for word in words}
    for uses in views:
        users = collections.defaultdict(list)
        for word in words:
            for use in uses[word]:
                users[use].append(word)
        for several in users.values():
            for word in several:
                near[word].update(several)

    def alike(word: str, other: str) -> bool:
        if other not in near[word] or (word, other) in apart:
            return False
        pairs = [_compared(word, other, uses) for uses in views]
        if any(_differ(*pair) for pair in pairs):
            apart.add((word, other))
            return False
        return any(_share(*pair) for pair in pairs)

    groups: list[list[str]] = []
    for word in words:
        group = next((g for g in groups if all(alike(word, other) for other in g)), None)
        if group is None:
            groups.append([word])
        else:
            group.append(word)
    return [group for group in groups if len(group) > 1]


def _compared(word: str, other: str, uses: dict[str, _Uses]) -> tuple[_Uses, _Uses]:
    """The uses of two words, but for those beside each other: there neither stands twice."""
    both = {word, other}
    one, two = (
        {use: n for use, n in uses[each].items() if not both & {*use[0], *use[1]}}
        for each in (word, other)
    )
    return collections.Counter(one), collections.Counter(two)


def _share(one: _Uses, two: _Uses) -> bool:
    shared = sum(one[use] for use in two), sum(two[use] for use in one)
    return shared[0] > _SHARED * one.total() and shared[1] > _SHARED * two.total()


def _differ(one: _Uses, two: _Uses) -> bool:
    totals = one.total(), two.total()
    if not all(totals):
        return False
    share = totals[0] / sum(totals)
    for use in one.keys() | two.keys():
        count = one[use] + two[use]
        deviation = (one[use] - share * count) / math.sqrt(share * (1 - share) * count)
        if abs(deviation) > _DEVIATIONS:
            return True
    return False


def _words(text: str) -> list[str]:
    return [match[0] for match in _WORD.finditer(text)]


def _lowered(words: Iterable[str]) -> tuple[str, ...]:
    return tuple(word.lower() for word in words)


def _swapped(item: Example, groups: list[list[str]], rng: np.random.Generator) -> Example:
    exchange: dict[str, str] = {}
    for group in groups:
        exchange.update(zip(group, rng.permutation(group).tolist(), strict=True))

    def swap(text: str) -> str:
        return _WORD.sub(lambda match: _as_written(match[0], exchange), text)

    return dataclasses.replace(
        item,
        text=swap(item.text) if isinstance(item.text, str) else [swap(part) for part in item.text],
        question=swap(item.question),
        answers=tuple(swap(answer) for answer in item.answers),
        choices=tuple(swap(choice) for choice in item.choices),
    )


def _as_written(word: str, exchange: Mapping[str, str]) -> str:
    """What stands for a word, with a capital where the word has one."""
    found = exchange.get(word.lower())
    if found is None:
        return word
    return found.capitalize() if word[:1].isupper() else found
