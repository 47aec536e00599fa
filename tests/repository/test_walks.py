"""How many files of the package a call runs through."""

from __future__ import annotations

import pathlib
import sys
from collections.abc import Callable
from types import FrameType

import pytest
from small_examples import EXAMPLES

import keras_qa
from keras_qa import QuestionAnswerer

PACKAGE = pathlib.Path(keras_qa.__file__).parent
# The model itself.
MODEL = ("kernels", "layers")
GOLDEN = PACKAGE.parent / "tests" / "golden"

MOST_FILES_OF_ANSWER = 19


def files_entered(call: Callable[[], object]) -> list[str]:
    """The files of the package, without the model's own, in which a call enters a function."""
    found: dict[str, None] = {}

    def profile(frame: FrameType, event: str, argument: object) -> None:
        path = pathlib.Path(frame.f_code.co_filename)
        if event == "call" and path.is_relative_to(PACKAGE):
            found[path.relative_to(PACKAGE).as_posix()] = None

    sys.setprofile(profile)
    try:
        call()
    finally:
        sys.setprofile(None)
    return [name for name in found if not name.startswith(MODEL)]


@pytest.mark.parametrize("reader", [False, True])
def test_answering_a_question_runs_through_few_files(reader, classifier) -> None:
    qa: QuestionAnswerer = keras_qa.load(GOLDEN / "reader.keras") if reader else classifier
    text, question = EXAMPLES[0].text, EXAMPLES[0].question
    qa.answer(text, question)
    names = files_entered(lambda: qa.answer(text, question))
    assert "answering/answerer.py" in names
    assert len(names) <= MOST_FILES_OF_ANSWER, names
