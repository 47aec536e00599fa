"""The scripts in `examples/` and the walkthrough run, and say what they say they do."""

import contextlib
import os
import pathlib
import re
import runpy

import keras
import nbformat
import notebooks
import numpy as np
import pytest

import keras_qa

ROOT = pathlib.Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"

# Read in the kernel after the last cell: a value for each claim that the notebook makes.
CLAIMS = """
assert stack.count_params() == twin.count_params() == 3_466
np.testing.assert_allclose(from_stack, from_twin, atol=1e-6)
assert "not connected to `inputs`" in disconnected and "\\n" not in disconnected
assert by_hand.count_params() == model.count_params() == 1_000_052
np.testing.assert_array_equal(from_list, from_dict)
np.testing.assert_allclose(from_list.sum(axis=1), 1.0, rtol=1e-5)
assert "`text` holds id" in unknown_id and "vocabulary has 64 entries" in unknown_id
assert "adds up to 0" in no_answer and "\\n" not in unknown_id + no_answer
assert 35 < score["exact_match"] < 100 and score["examples"] == 320
assert [[item.text for item in row] for row in again] == [[i.text for i in row] for row in best]
assert [len(row) for row in best] == [3, 3]
assert two_heads.output_names == ["answer", "mentioned"]
assert result["mentioned_accuracy"] > 0.95 and result["answer_accuracy"] > 0.3
print(keras.config.backend())
"""


@pytest.fixture(scope="module")
def committed():
    return nbformat.read(EXAMPLES / "walkthrough.ipynb", as_version=4)


@pytest.fixture(scope="module")
def executed(committed, tmp_path_factory):
    folder = tmp_path_factory.mktemp("walkthrough")
    return notebooks.executed(committed, CLAIMS, folder, folder)


def test_walkthrough_keeps_its_claims(executed):
    assert notebooks.printed(executed.cells[-1]).strip() == keras.config.backend()


def test_walkthrough_prints_what_is_committed(committed, executed):
    pairs = notebooks.pairs(committed, executed)
    assert sum(bool(old) for old, _ in pairs) >= 10
    assert [new for _, new in pairs] == [old for old, _ in pairs]
    text = "".join(old for old, _ in pairs)
    for claim in ("3,466 parameters", "1,000,052 parameters", "id 4234 at [0, 0]"):
        assert claim in text


def test_walkthrough_is_committed_executed_and_clean(committed):
    notebooks.assert_clean(committed)


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


# README's block shows and proves the same.
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


def said(block):
    """What a block says that it prints: the comments at its end."""
    lines = block.splitlines()
    last = max(place for place, line in enumerate(lines) if not line.startswith("# "))
    return " ".join(line.removeprefix("# ") for line in lines[last + 1 :])


def without_scores(text):
    # The last digits of what was learned differ from processor to processor.
    return " ".join(re.sub(r"\d+\.\d+", "0.0", text).split())


def test_readme_prints_what_it_says(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    made = [{} for _ in blocks("README.md")]
    for block, names in zip(blocks("README.md"), made, strict=True):
        exec(block, names)
        assert without_scores(capsys.readouterr().out) == without_scores(said(block))
    classic, strings, documents = made
    assert classic["model"].count_params() == 1_000_052
    assert keras_qa.load("qa.keras").evaluate(strings["stories"][1_000:])["exact_match"] >= 95
    for answer in documents["qa"].answer(documents["text"], ["Where do we meet?"]):
        assert documents["text"][answer.start : answer.end] == answer.text == "Nairobi"


@pytest.mark.parametrize(
    "page",
    sorted(
        path.name for path in (ROOT / "docs").glob("*.md") if "```python" in path.read_text("utf-8")
    ),
)
def test_blocks_of_the_docs_run(page, tmp_path, monkeypatch):
    fit = keras_qa.QuestionAnswerer.fit
    # What they learn the README shows.
    monkeypatch.setattr(
        keras_qa.QuestionAnswerer,
        "fit",
        lambda self, *given, **named: fit(self, *given, **{**named, "epochs": 1}),
    )
    monkeypatch.chdir(tmp_path)
    names = {}
    for block in blocks(f"docs/{page}"):
        exec(block, names)
    assert "keras_qa" in names or "keras" in names or "top_spans" in names


def test_the_precision_that_the_docs_ask_for_can_be_had(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (block,) = (block for block in blocks("docs/documents.md") if "min_precision=" in block)
    names = {}
    exec(block, names)
    assert capsys.readouterr().out.split() == said(block).split()
    # Some answers are sure enough, and not all.
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
    # The answer alone stands on a ground of its own.
    assert texts == ["   50.0%  R&amp;D", " " * 10 + "In ", "R&amp;D", "."]
    assert drawing.count("<rect") == 2
