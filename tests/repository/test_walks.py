"""How many files of the package a call enters, see "The way of ..." in CONTRIBUTING.md."""

from __future__ import annotations

import inspect
import itertools
import pathlib
import sys
from collections.abc import Callable
from types import CodeType, FrameType

import keras
import numpy as np
import pytest
from small_examples import EXAMPLES, SPANS

import keras_qa
from keras_qa import QuestionAnswerer
from keras_qa.cli import main

PACKAGE = pathlib.Path(keras_qa.__file__).parent
GOLDEN = pathlib.Path(__file__).parents[1] / "golden"


def files_entered(
    call: Callable[[], object], ends: Callable[[CodeType], bool] = lambda code: False
) -> list[str]:
    """Returns the files whose functions `call` enters, in order, until `ends` is true."""
    # Only noted here, since a call enters functions millions of times.
    codes: dict[int, CodeType] = {}

    def profile(frame: FrameType, event: str, _: object) -> None:
        if event == "call":
            codes[id(frame.f_code)] = frame.f_code

    sys.setprofile(profile)
    try:
        call()
    finally:
        sys.setprofile(None)
    entered = itertools.takewhile(lambda code: not ends(code), codes.values())
    paths = dict.fromkeys(pathlib.Path(code.co_filename) for code in entered)
    return [path.relative_to(PACKAGE).as_posix() for path in paths if PACKAGE in path.parents]


def is_layer(code: CodeType) -> bool:
    return pathlib.Path(code.co_filename).is_relative_to(PACKAGE / "layers")


def test_fit_of_a_model_enters_few_files_before_keras() -> None:
    model = keras_qa.models.answer_classifier(20, 20, 5, 4, 3)
    text, labels = np.ones((8, 5), int), np.zeros(8, int)
    fit = inspect.unwrap(keras.Model.fit).__code__
    for _ in range(2):
        files = files_entered(
            lambda: model.fit([text, text], labels, verbose=0), lambda code: code is fit
        )
        assert "engine/qa_model.py" in files
        assert len(files) <= 11, files


def test_predict_of_a_model_enters_few_files_before_the_layers() -> None:
    model = keras_qa.models.answer_classifier(20, 20, 5, 4, 3)
    text = np.ones((8, 5), int)
    for _ in range(2):
        files = files_entered(lambda: model.predict([text, text], verbose=0), is_layer)
        assert "engine/qa_model.py" in files
        assert len(files) <= 8, files


@pytest.mark.parametrize("reader", [False, True])
def test_answering_a_question_enters_few_files(reader, classifier) -> None:
    qa: QuestionAnswerer = keras_qa.load(GOLDEN / "reader.keras") if reader else classifier
    text, question = EXAMPLES[0].text, EXAMPLES[0].question
    qa.answer(text, question)
    # Without those of the model itself.
    files = [
        name
        for name in files_entered(lambda: qa.answer(text, question))
        if not name.startswith("layers")
    ]
    assert "answering/answerer.py" in files
    # On JAX one more file compiles the model.
    assert len(set(files) - {"engine/programs.py"}) <= (18 if reader else 15), files


def fit_model() -> Callable[[], object]:
    model = keras_qa.models.answer_classifier(20, 20, 5, 4, 3)
    text, labels = np.ones((8, 5), int), np.zeros(8, int)
    return lambda: model.fit([text, text], labels, verbose=0)


def fit_answerer(model: str, examples: list, **options: int) -> Callable[[], object]:
    qa = QuestionAnswerer(model, model_options=options)
    return lambda: qa.fit(examples, epochs=1, verbose=0)


def ask_folder(folder: pathlib.Path) -> Callable[[], object]:
    (folder / "rooms.txt").write_text("Mary went to the office.")
    reader = f"--reader={GOLDEN / 'reader.keras'}"
    return lambda: main(["ask", str(folder), "Where is Mary?", reader, "--no-answer=no"])


# The number of files that a call enters, with layers and kernels. Lower it when you can.
WALKS = {
    "fit of a model": (lambda _: fit_model(), 16),
    "fit of words": (lambda _: fit_answerer("answer_classifier", EXAMPLES, text_units=4), 30),
    "fit of spans": (lambda _: fit_answerer("span_reader", SPANS, units=4), 35),
    "load of a .keras file": (lambda _: lambda: keras_qa.load(GOLDEN / "reader.keras"), 29),
    "load of a preset": (lambda _: lambda: keras_qa.load("babi"), 28),
    "load of an exported folder": (
        lambda _: lambda: keras_qa.load(GOLDEN / "exported" / "reader"),
        13,
    ),
    # One of them is for the child process that reads documents.
    "ask of a folder": (ask_folder, 75),
}


@pytest.mark.parametrize("walk", WALKS)
def test_walks_enter_few_files(walk: str, tmp_path: pathlib.Path) -> None:
    prepare, most = WALKS[walk]
    call = prepare(tmp_path)
    # The first call imports modules.
    call()
    files = files_entered(call)
    assert 0 < len(files) <= most, files
