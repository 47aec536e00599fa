"""The scripts in `examples/` and the blocks of the docs run as described."""

import contextlib
import os
import pathlib
import re
import runpy

import numpy as np
import pytest

import keras_qa

ROOT = pathlib.Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"


def test_classic_example(capsys):
    values = runpy.run_path(str(EXAMPLES / "classic.py"))
    assert values["model"].count_params() == 1_000_052
    assert values["probabilities"].shape == (256, 500)
    np.testing.assert_allclose(values["probabilities"].sum(axis=1), 1.0, rtol=1e-5)
    by_name = {"question": values["question"], "text": values["text"]}
    np.testing.assert_array_equal(
        values["model"].predict(by_name, verbose=0), values["probabilities"]
    )
    assert "1,000,052 parameters, probabilities of shape (256, 500)" in capsys.readouterr().out


# README.md's block has the same values, and runs in the short form.
@pytest.mark.full
def test_strings_example(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    values = runpy.run_path(str(EXAMPLES / "strings.py"))
    assert 95 <= values["scores"]["exact_match"] <= 100
    best = values["qa"].answer(values["story"], "Where is Mary?")
    assert (best.text, best.support[0].position) == ("bathroom", 0)
    assert values["scores"]["examples"] == 200
    assert os.listdir(tmp_path) == ["qa.keras"]
    assert isinstance(values["loaded"], keras_qa.QuestionAnswerer)
    before, after = (
        values[name].answer(values["story"], "Where is Mary?", top_k=3) for name in ("qa", "loaded")
    )
    assert [item.text for item in after] == [item.text for item in before]
    np.testing.assert_allclose([x.score for x in after], [x.score for x in before], atol=1e-6)
    lines = capsys.readouterr().out.splitlines()
    assert f"right on {values['scores']['exact_match']:.0f} % of 200 unseen questions" in lines


def blocks(page):
    return re.findall(r"```python\n(.*?)```", (ROOT / page).read_text("utf-8"), re.DOTALL)


def expected_output(block):
    """The comments at the end of a block."""
    lines = block.splitlines()
    last = max(place for place, line in enumerate(lines) if not line.startswith("# "))
    return " ".join(line.removeprefix("# ") for line in lines[last + 1 :])


def without_scores(text):
    # The last digits of trained weights differ between processors.
    return " ".join(re.sub(r"\d+\.\d+", "0.0", text).split())


def run_and_compare_output(page, capsys):
    """The names that each block of a page defines."""
    defined = []
    for block in blocks(page):
        names = {}
        exec(block, names)
        assert without_scores(capsys.readouterr().out) == without_scores(expected_output(block))
        defined.append(names)
    return defined


def test_readme_prints_what_it_says(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    classic, strings = run_and_compare_output("README.md", capsys)
    assert classic["model"].count_params() == 1_000_052
    assert keras_qa.load("qa.keras").evaluate(strings["stories"][1_000:])["exact_match"] >= 95


def test_reader_from_scratch_prints_what_it_says(capsys):
    (names,) = run_and_compare_output("docs/readers.md", capsys)
    for answer in names["qa"].answer(names["text"], ["Where do we meet?"]):
        assert names["text"][answer.start : answer.end] == answer.text == "Nairobi"


@pytest.mark.parametrize(
    "page",
    sorted(
        path.name
        for path in (ROOT / "docs").glob("*.md")
        if "```python" in path.read_text("utf-8") and path.name != "readers.md"
    ),
)
def test_blocks_of_the_docs_run(page, tmp_path, monkeypatch):
    fit = keras_qa.QuestionAnswerer.fit
    # The tests of README.md and docs/readers.md train to the end.
    monkeypatch.setattr(
        keras_qa.QuestionAnswerer,
        "fit",
        lambda self, *given, **named: fit(self, *given, **{**named, "epochs": 1}),
    )
    monkeypatch.chdir(tmp_path)
    names = {}
    for block in blocks(f"docs/{page}"):
        exec(block, names)
    assert "keras_qa" in names or "keras" in names or "SpanDecoder" in names


def test_the_precision_that_the_docs_ask_for_can_be_had(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (block,) = (block for block in blocks("docs/documents.md") if "min_precision=" in block)
    names = {}
    exec(block, names)
    assert capsys.readouterr().out.split() == expected_output(block).split()
    threshold = names["fitted"].threshold(0.9)
    scores = [names["qa"].ask(names["index"], one.question).score for one in names["questions"]]
    assert min(scores) < threshold < max(scores)
    loaded = keras_qa.load("calibrated.keras")
    assert loaded.model_.preprocessor.asking == names["fitted"]


def test_pictures_are_small_and_their_script_draws():
    pictures = runpy.run_path(str(ROOT / "docs" / "pictures.py"), run_name="pictures")
    shown = sorted((ROOT / "docs" / "pictures").iterdir())
    assert [path.name for path in shown] == ["answer.svg", "attention.svg", "report.png"]
    assert all(0 < path.stat().st_size < 150_000 for path in shown)
    with contextlib.redirect_stdout(pictures["_Terminal"]()) as terminal:
        pictures["print_answers"]([keras_qa.Answer("R&D", 0.5, 3, 6)], "In R&D.")
    drawing = pictures["_drawn"](terminal.getvalue().splitlines())
    texts = re.findall(r">([^<>\n]+)</text>", drawing)
    # One background for the terminal, one for the answer.
    assert texts == ["   50.0%  R&amp;D", " " * 10 + "In ", "R&amp;D", "."]
    assert drawing.count("<rect") == 2
