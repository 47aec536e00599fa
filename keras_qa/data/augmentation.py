"""Data augmentation: exchanging words that occur in the same contexts."""

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
from keras_qa.text.sentence_splitting import sentence_spans

_WORD = re.compile(r"\w+(?:['’-]\w+)*")

# Two words are interchangeable if each occurs at least so often, ...
_MIN_COUNT = 10
# ... if at least this share of the contexts of each is shared, ...
_MIN_SHARED = 0.3
# ... and if no context occurs with one of them more often by so many standard deviations.
_MAX_DEVIATIONS = 5.0
_MAX_ROUNDS = 8

# Counts of the contexts of a word: the words before and after it.
_Contexts = collections.Counter[tuple[tuple[str, ...], tuple[str, ...]]]


def interchangeable_words(examples: Iterable[Example | Mapping[str, Any]]) -> list[list[str]]:
    """Finds groups of words that can be exchanged for one another, in lower case.

    Words are interchangeable if they occur in the same contexts, in sentences and in questions with
    their answers. Candidates are words of the texts that also occur in questions or answers, and
    names (words that are always capitalized). Other words may have similar contexts but different
    meanings, such as "took" and "dropped", or the days of a week.
    """
    lines, words = _lines(to_examples(examples))
    groups: list[list[str]] = []
    apart: set[tuple[str, str]] = set()
    for _ in range(_MAX_ROUNDS):
        # Treating the words of a group as equal reveals more shared contexts of other words. It
        # can also hide differences between two groups, so each group is tried alone, too.
        views = [[], *([group] for group in groups), groups]
        contexts = [_count_contexts(lines, words, view) for view in views]
        frequent = sorted(word for word in words if contexts[0][word].total() >= _MIN_COUNT)
        last, groups = groups, _group_words(frequent, contexts, apart)
        if groups == last:
            break
    return groups


def swap_words(
    examples: Iterable[Example | Mapping[str, Any]],
    copies: int,
    seed: int = 0,
    groups: list[list[str]] | None = None,
) -> list[Example]:
    """Creates copies of examples in which interchangeable words are exchanged.

    In each copy the words of each group of `interchangeable_words` are permuted, in the same way in
    the text, the question, the answers and the choices. A model then learns from the structure of a
    text instead of memorizing its words.

    Args:
        examples: Examples with answers that are words, without `answer_start`.
        copies: Number of copies of each example.
        seed: Seed of the permutations.
        groups: The result of `interchangeable_words` for the examples. `None` computes it.

    Returns:
        The copies, without the given examples. Empty if no words are interchangeable.

    Raises:
        TypeError: If an example or one of its fields has the wrong type.
        ValueError: If `copies` is negative, or an example has an `answer_start`.

    Reference:
        Andreas 2020, "Good-Enough Compositional Data Augmentation", arXiv:1904.09545.

    Examples:
        >>> import keras_qa
        >>> stories = keras_qa.datasets.babi.simulate(task=1, examples=500, seed=0)
        >>> len(keras_qa.datasets.augmentation.swap_words(stories, copies=3))
        1500
    """
    data = to_examples(examples)
    copies = to_integer("copies", copies, least=0)
    marked = next((position for position, item in enumerate(data) if item.answer_start), None)
    if marked is not None:
        raise ValueError(
            "`examples` must have no `answer_start`: `swap_words` changes offsets. Received one at "
            f"position {marked}."
        )
    groups = interchangeable_words(data) if groups is None else groups
    if not groups:
        return []
    rng = np.random.default_rng(seed)
    return [_swap(item, groups, rng) for _ in range(copies) for item in data]


def _lines(data: list[Example]) -> tuple[collections.Counter[tuple[str, ...]], set[str]]:
    """Counts of the sentences and of the questions with answers, and the candidate words."""
    in_texts, in_questions = set(), set()
    lines: collections.Counter[tuple[str, ...]] = collections.Counter()
    texts = sorted({item.plain_text for item in data})
    for text, following in itertools.zip_longest(texts, texts[1:], fillvalue=""):
        # Of a story that grows between questions, count the longest text only.
        if following.startswith(text):
            continue
        for start, end in sentence_spans(text):
            words = _words(text[start:end])
            in_texts.update(words)
            lines[_lower(words)] += 1
    for item in data:
        words = [*_words(item.question), "?", *_words(" ".join(item.answers))]
        in_questions.update(words)
        lines[_lower(words)] += 1
    capitalized = {word.lower() for word in in_texts if word[0].isupper()}
    names = capitalized - in_texts - in_questions
    return lines, {*_lower(in_texts)} & (names | {*_lower(in_questions)})


def _count_contexts(
    lines: collections.Counter[tuple[str, ...]], words: set[str], groups: list[list[str]]
) -> dict[str, _Contexts]:
    """The contexts of each word, in which the words of a group are equal."""
    names = {word: f"group {position}" for position, group in enumerate(groups) for word in group}
    contexts: dict[str, _Contexts] = {word: collections.Counter() for word in words}
    for line, count in lines.items():
        named = tuple(names.get(word, word) for word in line)
        for position, word in enumerate(line):
            if word in contexts:
                contexts[word][named[:position], named[position + 1 :]] += count
    return contexts


def _group_words(
    words: list[str], views: list[dict[str, _Contexts]], apart: set[tuple[str, str]]
) -> list[list[str]]:
    """Groups of interchangeable words. Pairs with different contexts are added to `apart`."""
    # Compare only words that share a context, which are few.
    near: dict[str, set[str]] = {word: set() for word in words}
    for contexts in views:
        words_of = collections.defaultdict(list)
        for word in words:
            for context in contexts[word]:
                words_of[context].append(word)
        for sharing in words_of.values():
            for word in sharing:
                near[word].update(sharing)

    def alike(word: str, other: str) -> bool:
        if other not in near[word] or (word, other) in apart:
            return False
        pairs = [_contexts_of_pair(word, other, contexts) for contexts in views]
        if any(_have_different_contexts(*pair) for pair in pairs):
            apart.add((word, other))
            return False
        return any(_share_contexts(*pair) for pair in pairs)

    groups: list[list[str]] = []
    for word in words:
        group = next((g for g in groups if all(alike(word, other) for other in g)), None)
        if group is None:
            groups.append([word])
        else:
            group.append(word)
    return [group for group in groups if len(group) > 1]


def _contexts_of_pair(
    word: str, other: str, contexts: dict[str, _Contexts]
) -> tuple[_Contexts, _Contexts]:
    """The contexts of two words without those that contain one of the two."""
    both = {word, other}
    first, second = (
        {pair: n for pair, n in contexts[each].items() if not both & {*pair[0], *pair[1]}}
        for each in (word, other)
    )
    return collections.Counter(first), collections.Counter(second)


def _share_contexts(first: _Contexts, second: _Contexts) -> bool:
    shared = sum(first[context] for context in second), sum(second[context] for context in first)
    return shared[0] > _MIN_SHARED * first.total() and shared[1] > _MIN_SHARED * second.total()


def _have_different_contexts(first: _Contexts, second: _Contexts) -> bool:
    totals = first.total(), second.total()
    if not all(totals):
        return False
    share = totals[0] / sum(totals)
    for context in first.keys() | second.keys():
        count = first[context] + second[context]
        deviation = (first[context] - share * count) / math.sqrt(share * (1 - share) * count)
        if abs(deviation) > _MAX_DEVIATIONS:
            return True
    return False


def _words(text: str) -> list[str]:
    return [match[0] for match in _WORD.finditer(text)]


def _lower(words: Iterable[str]) -> tuple[str, ...]:
    return tuple(word.lower() for word in words)


def _swap(item: Example, groups: list[list[str]], rng: np.random.Generator) -> Example:
    exchange: dict[str, str] = {}
    for group in groups:
        exchange.update(zip(group, rng.permutation(group).tolist(), strict=True))

    def swap(text: str) -> str:
        return _WORD.sub(lambda match: _replace_word(match[0], exchange), text)

    return dataclasses.replace(
        item,
        text=swap(item.text) if isinstance(item.text, str) else [swap(part) for part in item.text],
        question=swap(item.question),
        answers=tuple(swap(answer) for answer in item.answers),
        choices=tuple(swap(choice) for choice in item.choices),
    )


def _replace_word(word: str, exchange: Mapping[str, str]) -> str:
    """The replacement of a word, with its capitalization."""
    replacement = exchange.get(word.lower())
    if replacement is None:
        return word
    return replacement.capitalize() if word[:1].isupper() else replacement
