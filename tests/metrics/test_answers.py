"""`exact_match` and `f1` against scores computed by hand."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_qa.metrics import exact_match, f1
from keras_qa.metrics.answers import contains_answer


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


@given(st.text(), st.text())
def test_scores_of_any_text(one: str, other: str) -> None:
    assert exact_match(one, [one]) == f1(one, [one]) == 1.0
    assert f1(one, [other]) == pytest.approx(f1(other, [one]))
    assert 0.0 <= f1(one, [other]) <= 1.0
    assert f1(one, [other]) >= exact_match(one, [other])


@pytest.mark.parametrize(
    ("text", "answers", "expected"),
    [
        ("two years", ["2 years", "two years"], True),
        ("at least two years", ["two years"], True),
        ("for at least Two Years!", ["two years"], True),
        ("so for at least two years", ["two years"], False),
        ("for at least two years in", ["two years"], False),
        # English articles do not count.
        ("for at least the two years", ["a two years"], True),
        # The words follow each other, and are whole.
        ("two or years", ["two years"], False),
        ("twenty-two years", ["two years"], True),
        ("22 years", ["2 years"], False),
        ("years", ["two years"], False),
        # A punctuation mark ends a word.
        ("127.0.0.1", ["0.0"], True),
        ("127.0.0.1", ["1270"], False),
        ("3.5", ["35"], False),
        ("well-kept", ["well kept"], True),
        ("", ["two"], False),
        ("two", [], False),
        # An answer without words is in no other text.
        ("two", [""], False),
        ("", [""], False),
        ("The ", ["the"], True),
        ("%", ["%"], True),
        ("5 %", ["%"], False),
    ],
)
def test_answers_with_at_most_three_more_words(text: str, answers: list, expected: bool) -> None:
    assert contains_answer(text, answers) is expected


@given(st.lists(st.sampled_from(["red", "two", "Oslo"]), min_size=1), st.integers(0, 5), st.data())
def test_more_words_before_and_after(words: list[str], more: int, data) -> None:
    before = data.draw(st.integers(0, more))
    text = " ".join(["x"] * before + words + ["x"] * (more - before))
    assert contains_answer(text, ["zebra", " ".join(words)]) is (more <= 3)
