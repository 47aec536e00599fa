"""`metrics.drop` by hand, and its alignment against all permutations."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from keras_qa import Example
from keras_qa.metrics import drop
from keras_qa.metrics.span_sets import assign

TEAM = Example("", "?", ["Broncos", "Denver Broncos"])
PAIR = Example("", "?", ["Ann Lee", "Bob"], all_spans=True)


@pytest.mark.parametrize(
    ("prediction", "reference", "exact", "overlap"),
    [
        # Numbers, case, articles, hyphens and punctuation.
        ("7.0 Yards", "the 7-yards!", 1, 1),
        ("7 yards", "8 yards", 0, 0),
        ("yards", "7 yards", 0, 0),
        ("7 yards", "yards", 0, 0.67),
        (["Bob", "Ann"], ["Ann", "Bob"], 1, 1),
        # The best alignment leaves the equal spans apart.
        (["x y", "y"], ["y x", "x"], 0, 0.67),
        (["Ann", "Bob", "Cat"], ["Ann"], 0, 0.33),
        ("Ann", ["Ann", "Ann"], 0, 0.5),
        ("Rome", [["Paris"], ["Rome"]], 1, 1),
        ([], ["Ann"], 0, 0),
        ("Ann", [], 0, 0),
        ([], [], 1, 1),
        # The official script ignores a blank set.
        ("", " ", 0, 0),
        ("denver broncos", TEAM, 1, 1),
        (["Broncos", "Denver Broncos"], TEAM, 0, 0.5),
        (["Bob", "Ann Lee"], PAIR, 1, 1),
        ("Bob", PAIR, 0, 0.5),
        ([], Example("", "?"), 1, 1),
    ],
)
def test_by_hand(prediction, reference, exact: float, overlap: float) -> None:
    expected = {"exact_match": 100.0 * exact, "f1": 100.0 * overlap}
    assert drop([prediction], [reference]) == expected


def test_questions_count_the_same() -> None:
    assert drop(["a ship", "b", "c"], ["ship", "c", "d c"]) == {
        "exact_match": 100.0 * (1 / 3),
        "f1": 100.0 * ((1.0 + 0.0 + 0.67) / 3),
    }


@given(
    st.tuples(st.integers(1, 5), st.integers(1, 5)).flatmap(
        lambda shape: arrays.arrays("float64", shape, elements=st.sampled_from([0, 0.25, 0.5, 1]))
    )
)
def test_the_assignment_has_the_highest_sum(scores: np.ndarray) -> None:
    rows, columns = assign(scores)
    wide = scores if len(scores) <= scores.shape[1] else scores.T
    best = max(
        sum(row[column] for row, column in zip(wide, some, strict=True))
        for some in itertools.permutations(range(wide.shape[1]), len(wide))
    )
    assert len(set(rows)) == len(set(columns)) == min(scores.shape)
    assert scores[rows, columns].sum() == best


@pytest.mark.parametrize(
    ("predictions", "references", "error", "message"),
    [
        (["a"], [], ValueError, "one entry for each question. Received: 1 predictions and 0 ref"),
        ([], [], ValueError, "Received: 0 predictions"),
        (["a", 7], ["a", "b"], TypeError, "question at position 1: An answer must be a string or "),
        (["a"], [{"spans": ["a"]}], TypeError, "Received: {'spans': "),
        (["a"], [[["a"], 3]], TypeError, "position 0: An answer .* Received: 3"),
    ],
)
def test_bad_input(predictions, references, error, message: str) -> None:
    with pytest.raises(error, match=message) as caught:
        drop(predictions, references)
    assert "\n" not in str(caught.value)
