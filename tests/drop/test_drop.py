"""`metrics.drop` beside the copy of DROP's official script in `lm-eval`: equal in every digit."""

import importlib.util
import pathlib
import types

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy.optimize import linear_sum_assignment

from keras_qa.metrics import drop
from keras_qa.metrics.span_sets import assign


def load_official() -> types.ModuleType:
    """Loads the file alone: its package imports frameworks."""
    spec = importlib.util.find_spec("lm_eval")
    assert spec is not None
    assert spec.submodule_search_locations
    path = pathlib.Path(spec.submodule_search_locations[0], "tasks", "drop", "utils.py")
    found = importlib.util.spec_from_file_location("official_drop", path)
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


official = load_official()

WORDS = [
    *("the", "a", "An", "theatre", "red", "Red.", "wine", "U.S.A.", "usa", "-", "é", "É", "«x»"),
    *("12", "12.0", "1,200", "1200", "1e3", "nan", "inf", "٣", "7-yard", "$5", "5%", ".5", "a b"),
    *("", " ", "\u00a0", "a\nb", "İ", "ΑΣ", "1_0", "+3", "--", "'s", "first-and-10"),
]
SPAN = st.lists(st.sampled_from(WORDS), max_size=5).map(" ".join) | st.text(max_size=8)
SPANS = st.lists(SPAN, min_size=1, max_size=9)


def assert_same(questions: list[tuple[list[str], list[list[str]]]]) -> None:
    rows = [
        official.process_results({"answers": golds}, predicted) for predicted, golds in questions
    ]
    # The mean of `lm-eval`.
    expected = {
        name: 100.0 * (sum(row[key] for row in rows) / len(rows))
        for name, key in (("exact_match", "em"), ("f1", "f1"))
    }
    assert drop(*map(list, zip(*questions, strict=True))) == expected


@settings(max_examples=800, deadline=None)
@given(
    st.lists(
        st.tuples(SPANS | st.just([]), st.lists(SPANS, min_size=1, max_size=3)),
        min_size=1,
        max_size=3,
    )
)
def test_made_questions(questions) -> None:
    assert_same(questions)


@pytest.mark.parametrize(
    ("predicted", "golds"),
    [
        ("7 yards", [["7-yard"], ["7.0 yards"]]),
        ("the", [["a"]]),
        ("", [[" "], ["a"]]),
        (["Ann", "Bob", "Bob"], [["Bob", "Ann"], ["Bob", "Ann", "Bob"]]),
        ([f"a b {n}" for n in range(12)], [[f"b {n} c" for n in range(3, 20)]]),
        (["x"] * 12, [["x y", "x z"] * 4]),
    ],
)
def test_hand_made_questions(predicted, golds) -> None:
    assert_same([(predicted, golds)])


def test_answers_as_drop_has_them() -> None:
    nothing = {"number": "", "spans": [], "date": {"day": "", "month": "", "year": ""}}
    date = {**nothing, "date": {"day": "3", "month": "May", "year": "1900"}}
    validated = {
        "number": ["4", ""],
        "spans": [[], ["four", "five"]],
        "date": [nothing["date"]] * 2,
    }
    golds = official.get_answers({"answer": date, "validated_answers": validated})
    assert golds == [("3 May 1900",), ("4",), ("four", "five")]
    for predicted in ("May 3", "4.0", ["five", "four"], "four"):
        assert_same([(predicted, golds)])


@settings(max_examples=800, deadline=None)
@given(
    st.tuples(st.integers(1, 9), st.integers(1, 9)).flatmap(
        lambda shape: arrays.arrays(
            "float64", shape, elements=st.sampled_from([0, 0.1, 0.2, 0.3, 1 / 3, 0.5, 2 / 3, 0.8])
        )
    )
)
def test_the_assignment_is_that_of_scipy(scores: np.ndarray) -> None:
    # Ties included.
    found = np.stack(assign(scores))
    expected = np.stack(linear_sum_assignment(-scores))
    np.testing.assert_array_equal(found[:, np.argsort(found[0])], expected)
