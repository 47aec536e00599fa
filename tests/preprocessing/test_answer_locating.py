"""Answers without offsets are located in their texts."""

import re
import warnings

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_qa import Example
from keras_qa.preprocessing.answer_locating import locate_answers

TEXT = "Ann paid 30 euros in May. Bob paid 30 euros in June, and Eve nothing."


def located(text: str, question: str, *answers: str) -> list[tuple[str, int]]:
    (item,) = locate_answers([Example(text, question, list(answers))])
    return list(zip(item.answers, item.answer_start, strict=True))


@pytest.mark.parametrize(
    ("question", "answers", "expected"),
    [
        ("When did Eve pay?", ["June"], [("June", 47)]),
        # The nearest of two places.
        ("How much did Ann pay?", ["30 euros"], [("30 euros", 9)]),
        ("How much did Bob pay?", ["30 euros"], [("30 euros", 35)]),
        ("How much was paid in June?", ["30 euros"], [("30 euros", 35)]),
        # Other capitals and white space; the exact form comes first.
        ("Who?", ["BOB"], [("Bob", 26)]),
        ("Who paid in June?", ["bob  paid"], [("Bob paid", 26)]),
        # Whole words only, and several answers.
        ("How much did Ann pay?", ["30", "30 euros", "3"], [("30", 9), ("30 euros", 9)]),
        ("Who got nothing?", ["Eve", "Eva"], [("Eve", 57)]),
    ],
)
def test_the_nearest_place(question: str, answers: list[str], expected: list) -> None:
    assert located(TEXT, question, *answers) == expected


def test_questions_that_need_no_offset_are_unchanged() -> None:
    examples = [
        Example(TEXT, "Who?"),
        Example(TEXT, "Did Ann pay?", "yes"),
        Example(TEXT, "Who paid in June?", "Bob", 26),
    ]
    assert locate_answers(examples, ("yes", "no")) == examples


def test_answers_without_a_place_are_named_by_row() -> None:
    wrong = [Example(TEXT, "Who?", "Zoe"), Example("30 or 30", "How much?", "30")]
    right = Example(TEXT, "Who got nothing?", "Eve")
    examples = [wrong[0], right, wrong[1], *wrong[:1] * 10, Example(TEXT, "Who?", "Max")]
    problem = (
        "13 of 14 answers have no `answer_start` and no single place in the text: none in rows 1, "
        "4, 5, 6, 7, …; several equally near the question's words in row 3 (counted from 1). "
    )
    with pytest.warns(UserWarning, match="left out") as caught:
        (kept,) = locate_answers(examples, lenient=True)
    assert kept.answer_start == (57,)
    assert [str(warning.message) for warning in caught] == [f"{problem}They are left out."]
    with pytest.raises(ValueError, match="answer_start") as error:
        locate_answers(examples)
    assert str(error.value) == (
        f"{problem}The first is 'Zoe'. `train(lenient=True)` (`--lenient`) leaves them out; for "
        "yes and no, build the reader with `answer_types`."
    )
    assert len(str(error.value)) <= 300
    with pytest.raises(ValueError, match=r"text: several .* in row 2 .* first is '30'\."):
        locate_answers([right, wrong[1]])


@given(st.text(max_size=40), st.text(min_size=1, max_size=8), st.text(max_size=20))
def test_a_located_answer_is_at_its_offset(text: str, answer: str, question: str) -> None:
    text = f"{text} {answer} ."
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        kept = locate_answers([Example(text, question, answer)], lenient=True)
    for item in kept:
        (start,) = item.answer_start
        assert text.startswith(item.answers[0], start)
        words = r"\s+".join(map(re.escape, answer.split()))
        assert re.fullmatch(words, item.answers[0], re.IGNORECASE)
