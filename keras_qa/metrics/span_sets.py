"""DROP's official scores, of answers with several spans."""

from __future__ import annotations

import re
import string
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from keras_qa._numbers import is_float
from keras_qa.example import Example

# A span, or several.
SpanSet = str | Sequence[str]

# The gold sets of a question: an example, one set, or several of which any is right.
GoldSets = Example | SpanSet | Sequence[SpanSet]

_ARTICLE = re.compile(r"\b(?:a|an|the)\b")
_PUNCTUATION = str.maketrans("", "", string.punctuation)


def drop(predictions: Iterable[SpanSet], references: Iterable[GoldSets]) -> dict[str, float]:
    """Computes the official scores of DROP, in percent.

    The scores equal those of DROP's evaluation script in every digit. They compare sets of spans,
    ignoring case, punctuation and articles; a number equals the same number in another form. Exact
    match is 1 if the sets are equal. F1 aligns predicted with right spans one to one, so that the
    sum of their word F1s is highest, and divides it by the size of the larger set. A pair counts 0
    if the right span has numbers and none of them is in the prediction. F1 is rounded to two
    digits.

    Args:
        predictions: For each question a string, or a list of strings: all predicted spans.
        references: For each question the right answer: a string, a list of strings, or a list of
            such lists of which any is right. Or an `Example`: its answers together if it has
            `all_spans`, otherwise any one of them. An empty list means that there is no answer,
            which DROP does not have: then only an empty prediction is right.

    Returns:
        `exact_match` and `f1`.

    Raises:
        TypeError: If a prediction or a reference has the wrong type.
        ValueError: If the numbers of predictions and references differ, or there are none.

    Reference:
        Dua et al. 2019, "DROP: A Reading Comprehension Benchmark Requiring Discrete Reasoning Over
        Paragraphs", arXiv:1903.00161.

    Examples:
        >>> from keras_qa.metrics import drop
        >>> drop([["The ferry", "7 boats"], "Rome"], [["ferry", "seven boats", "a raft"], "Rome"])
        {'exact_match': 50.0, 'f1': 75.0}
    """
    answers, golds = list(predictions), list(references)
    if len(answers) != len(golds) or not golds:
        raise ValueError(
            "`predictions` and `references` must have one entry for each question. Received: "
            f"{len(answers)} predictions and {len(golds)} references."
        )
    scores = []
    for position, (predicted, gold) in enumerate(zip(answers, golds, strict=True)):
        try:
            scores.append(_score(_to_set(predicted), _gold_sets(gold)))
        except TypeError as error:
            raise TypeError(f"The question at position {position}: {error}") from None
    exact, overlap = (100.0 * (sum(column) / len(column)) for column in zip(*scores, strict=True))
    return {"exact_match": exact, "f1": overlap}


def _gold_sets(reference: GoldSets) -> list[tuple[str, ...]]:
    if isinstance(reference, Example):
        answers = reference.answers
        return [answers] if reference.all_spans or not answers else [(entry,) for entry in answers]
    is_list = isinstance(reference, (list, tuple))
    if is_list and not all(isinstance(entry, str) for entry in reference):
        return [*map(_to_set, reference)]
    return [_to_set(reference)]


def _score(predicted: Sequence[str], golds: Sequence[Sequence[str]]) -> tuple[float, float]:
    """Returns the exact match and the F1 of a set of spans, each for its most similar gold set."""
    exact = overlap = 0.0
    spans = [*map(_normalize, predicted)]
    for gold in golds:
        # The official script ignores a set that begins with an empty span.
        if gold and not gold[0].strip():
            continue
        expected = [*map(_normalize, gold)]
        is_exact = len(spans) == len(expected) and set(spans) == set(expected)
        exact = max(exact, float(is_exact))
        overlap = max(overlap, _align(spans, expected) if spans or expected else 1.0)
    return exact, overlap


def _to_set(value: Any) -> tuple[str, ...]:
    if isinstance(value, str):
        return (value,)
    if isinstance(value, (list, tuple)) and all(isinstance(span, str) for span in value):
        return tuple(value)
    raise TypeError(f"An answer must be a string or a list of strings. Received: {value!r:.80}.")


def _normalize(span: str) -> str:
    words = (_normalize_word(word.lower()) for word in re.split("[ -]", span))
    return " ".join(word for word in words if word)


def _normalize_word(word: str) -> str:
    if not is_float(word):
        word = word.translate(_PUNCTUATION)
    if is_float(word):
        word = str(float(word))
    return " ".join(_ARTICLE.sub(" ", word).split())


def _align(predicted: list[str], gold: list[str]) -> float:
    """The mean word F1 of the best alignment of normalized spans, rounded."""
    scores = np.array([[_bag_f1({*p.split()}, {*g.split()}) for p in predicted] for g in gold])
    best = np.zeros(max(len(predicted), len(gold)))
    if scores.size:
        rows, columns = assign(scores)
        best[rows] = scores[rows, columns]
    return float(round(np.mean(best), 2))


def _bag_f1(predicted: set[str], gold: set[str]) -> float:
    numbers = set(filter(is_float, gold))
    if numbers and not numbers & predicted:
        return 0.0
    shared = len(predicted & gold)
    precision = shared / len(predicted) if predicted else 1.0
    recall = shared / len(gold) if gold else 1.0
    return 2 * precision * recall / (precision + recall) if precision or recall else 0.0


def assign(scores: npt.NDArray[np.float64]) -> tuple[list[int], list[int]]:
    """Returns rows and columns, one to one, with the highest sum of scores.

    Shortest augmenting paths (Crouse 2016, "On implementing 2D rectangular assignment algorithms").
    Among equal sums it chooses as `scipy.optimize.linear_sum_assignment` does, which the official
    script of DROP uses, so that rounding errors are the same.
    """
    height, width = scores.shape
    if height > width:
        columns, rows = assign(scores.T)
        return rows, columns
    row_price, column_price = np.zeros(height), np.zeros(width)
    column_of, row_of = [-1] * height, [-1] * width
    for new in range(height):
        distance, before = np.full(width, np.inf), np.full(width, -1)
        left, lowest, row = [*reversed(range(width))], 0.0, new
        seen: list[int] = []
        while row >= 0:
            through_row = lowest - scores[row] - row_price[row] - column_price
            is_shorter = through_row < distance
            is_shorter[seen] = False
            distance[is_shorter], before[is_shorter] = through_row[is_shorter], row
            lowest = min(distance[left])
            nearest = [index for index, near in enumerate(left) if distance[near] == lowest]
            free = [index for index in nearest if row_of[left[index]] < 0]
            index = free[-1] if free else nearest[0]
            column = left[index]
            left[index] = left[-1]
            left.pop()
            seen.append(column)
            row = row_of[column]
        row_price[new] += lowest
        row_price[[row_of[column] for column in seen[:-1]]] += lowest - distance[seen[:-1]]
        column_price[seen] -= lowest - distance[seen]
        while row != new:
            row = before[column]
            row_of[column] = row
            column_of[row], column = column, column_of[row]
    return [*range(height)], column_of
