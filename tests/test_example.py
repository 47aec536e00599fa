"""`Example`: what counts as one."""

import re

import pytest

from keras_qa import Example
from keras_qa.example import to_examples


def test_single_values_become_tuples() -> None:
    example = Example(("a", "b"), "q", "x", 3, ["x", "y"], 1, "id")
    assert example == Example(["a", "b"], "q", ("x",), (3,), ("x", "y"), (1,), "id")
    assert example.plain_text == "a\nb"
    assert Example("a b", "q").plain_text == "a b"


def test_mappings_become_examples() -> None:
    rows = [{"text": "a", "question": "q", "source": "s"}, Example("b", "r", "x")]
    assert to_examples(iter(rows)) == [Example("a", "q", source="s"), Example("b", "r", "x")]


@pytest.mark.parametrize(
    ("examples", "message"),
    [
        ([{"text": "a"}], "The example at position 0 has no key `question`. It has: `text`."),
        ([{"text": "a", "question": "q", "anwer": "x"}], "position 0 has an unknown key `anwer`."),
        ([Example("a", "q"), 3], "Received a int at position 1."),
        ("text", "`examples` must be a list of examples. Received one str."),
        ({"text": "a", "question": "q"}, "Received one dict. Put it in a list."),
        (Example("a", "q"), "Received one Example."),
        ([{"text": None, "question": "q"}], "position 0: `text` must be a string or a list"),
        ([{"text": "a", "question": 5}], "position 0: `question` must be a string. Received: 5"),
        ([{"text": "a", "question": "q", "source": 5}], "position 0: `source` must be a string. R"),
        ([{"text": "a", "question": "q", "answers": 5}], "position 0: `answers` must be a string"),
        ([{"text": "a", "question": "q", "all_spans": 2}], "position 0: `all_spans` must be `Tr"),
        ([{"text": ["a", 1], "question": "q"}], "`text` must be a string or a list of strings"),
    ],
)
def test_anything_else_is_named(examples, message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=re.escape(message)):
        to_examples(examples)


def test_rows_of_squad_are_taken_as_hugging_face_has_them() -> None:
    row = {
        "id": "q1",
        "title": "Home",
        "context": "He went home.",
        "question": "Where did he go?",
        "answers": {"text": ["home"], "answer_start": [8]},
    }
    (example,) = to_examples([row])
    assert example == Example("He went home.", "Where did he go?", ["home"], [8], id="q1")
    (unanswered,) = to_examples([{**row, "answers": {"text": [], "answer_start": []}}])
    assert unanswered.answers == ()
