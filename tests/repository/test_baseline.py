"""The baseline that readers are compared with."""

import importlib.util
import pathlib

import pytest

PATH = pathlib.Path(__file__).parents[2] / "benchmarks" / "rivals" / "sliding_window.py"


@pytest.fixture(scope="module")
def answer():
    spec = importlib.util.spec_from_file_location("sliding_window", PATH)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.answer


TEXT = "The Normans came from Denmark. Anne of Austria built a large castle in Vienna in 1521."


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("Where did the Normans come from?", "came"),
        ("Who built a castle in Vienna?", "large"),
        ("When was the castle of Vienna built?", "large"),
        ("Normans from which country came?", "Denmark. Anne"),
        # What stands in no text is near to nothing: the first longest run.
        ("Zebras?", "Normans came"),
    ],
)
def test_answers_are_near_the_words_of_the_question(answer, question, expected) -> None:
    found = answer(TEXT, question)
    assert found in TEXT
    assert found == expected


def test_without_words_there_is_no_answer(answer) -> None:
    assert answer("", "Who?") == answer("the of", "Who?") == answer("?!", "") == ""
