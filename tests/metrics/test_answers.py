"""`exact_match` and `f1` against scores computed by hand."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_qa.metrics import exact_match, f1


@pytest.mark.parametrize(
    ("prediction", "answers", "match", "overlap"),
    [
        ("the kitchen", ["Kitchen"], 1.0, 1.0),
        ("kitchen", ["garden", "kitchen"], 1.0, 1.0),
        ("small kitchen", ["kitchen"], 0.0, 2 / 3),
        ("red red wine", ["red wine"], 0.0, 4 / 5),
        ("garden", ["kitchen"], 0.0, 0.0),
        ("the", ["a"], 1.0, 1.0),
        ("the", ["kitchen"], 0.0, 0.0),
        ("kitchen", [], 0.0, 0.0),
    ],
)
def test_scores(prediction: str, answers: list[str], match: float, overlap: float) -> None:
    assert exact_match(prediction, answers) == match
    assert f1(prediction, answers) == pytest.approx(overlap)


@settings(max_examples=300, deadline=None)
@given(st.text(), st.text())
def test_scores_of_any_text(one: str, other: str) -> None:
    assert exact_match(one, [one]) == f1(one, [one]) == 1.0
    assert f1(one, [other]) == pytest.approx(f1(other, [one]))
    assert 0.0 <= f1(one, [other]) <= 1.0
    assert f1(one, [other]) >= exact_match(one, [other])
