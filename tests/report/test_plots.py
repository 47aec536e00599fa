"""Plots draw the given values."""

import dataclasses
import json
import re
import runpy
import sys

import keras
import numpy as np
import pytest
from matplotlib.colors import to_hex

from keras_qa import Answer, Support
from keras_qa.recipes import Run
from keras_qa.report import Point, plots

TEXT = "Ann left. Bob came."
ANSWER = Answer(
    "Bob", 0.9, 10, 13, (Support("Bob came.", 0.7, 10, 19, 1), Support("Ann left.", 0.3, 0, 9, 0))
)


def drawn(axes) -> np.ndarray:
    return np.asarray(axes.get_images()[0].get_array())


def words(labels) -> list[str]:
    return [label.get_text() for label in labels]


def test_attention_of_an_answer() -> None:
    axes = plots.attention(ANSWER, title="Who came?").axes[0]
    np.testing.assert_array_equal(drawn(axes), [[0.3], [0.7]])
    assert words(axes.get_yticklabels()) == ["Ann left.", "Bob came."]
    assert words(axes.get_xticklabels()) == ["Bob"]
    assert words(axes.texts) == ["0.30", "0.70"]
    assert axes.get_title() == "Who came?"


@pytest.mark.parametrize("text", [TEXT, ["Ann left.", "Bob came."]])
def test_attention_by_step_ignores_padding(text) -> None:
    weights = np.array([[0.9, 0.1, 0.0], [0.2, 0.8, 0.0]])
    axes = plots.attention(weights, text).axes[0]
    np.testing.assert_array_equal(drawn(axes), weights[:, :2].T)
    assert words(axes.get_xticklabels()) == ["1", "2"]
    assert words(axes.get_yticklabels()) == ["Ann left.", "Bob came."]


def test_invalid_attention() -> None:
    with pytest.raises(ValueError, match="answer without support"):
        plots.attention(Answer("Bob", 0.9))
    with pytest.raises(ValueError, match="`text` is missing"):
        plots.attention([0.1, 0.9])
    for odd in ([0.1], np.zeros((1, 2, 2))):
        with pytest.raises(ValueError, match="2 sentences. Received the shape"):
            plots.attention(odd, TEXT)


def run(seed: int, error: float, errors: dict[str, float]) -> Run:
    history = {"loss": [2.0, 1.0 + seed], "val_accuracy": [0.25, 0.5]}
    return Run("memory_network", seed, 9, 0, 4, 2, 2, 1.0, "jax", error, errors, history)


def lines(axes) -> list[tuple[list[float], str, str, str]]:
    return [
        (list(line.get_ydata()), line.get_linestyle(), line.get_color(), line.get_label())
        for line in axes.get_lines()
    ]


def test_learning_curves_of_seeds() -> None:
    figure = plots.learning_curves([run(0, 1.0, {}), run(1, 1.0, {})])
    loss, accuracy = figure.axes
    assert lines(loss) == [
        ([2.0, 1.0], "-", "C0", "1: training"),
        ([2.0, 2.0], "-", "C1", "2: training"),
    ]
    assert lines(accuracy) == [
        ([0.25, 0.5], "--", "C0", "1: validation"),
        ([0.25, 0.5], "--", "C1", "2: validation"),
    ]
    assert list(loss.get_lines()[0].get_xdata()) == [1, 2]


def test_learning_curves_of_fit() -> None:
    history = keras.callbacks.History()
    history.history = {"answer_accuracy": [0.5], "loss": [1.5], "support_loss": [9.0]}
    for given in (history, history.history):
        loss, accuracy = plots.learning_curves(given).axes
        assert lines(loss) == [([1.5], "-", "C0", "training")]
        assert lines(accuracy) == [([0.5], "-", "C0", "training")]
    with pytest.raises(ValueError, match="holds no epochs"):
        plots.learning_curves({})


SURE = [Point(0.9, 1, 0.25, 0.0), Point(0.5, 3, 0.75, 1 / 3)]


def test_risk_coverage() -> None:
    axes = plots.risk_coverage(SURE).axes[0]
    [line] = axes.get_lines()
    np.testing.assert_array_equal(line.get_xydata(), [[0.25, 0.0], [0.75, 1 / 3]])
    assert axes.get_xlabel() == "share of questions that are answered"
    assert axes.get_ylabel() == "share of wrong answers"
    assert axes.get_legend() is None
    # The limits contain all possible values.
    (left, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()
    assert left <= 0 < 1 <= right
    assert bottom <= 0 < 1 <= top


def test_risk_coverage_of_several_reports() -> None:
    axes = plots.risk_coverage({"words": SURE, "none": [], "vectors": SURE[:1]}).axes[0]
    curves = [line.get_xydata().tolist() for line in axes.get_lines()]
    assert curves == [[[0.25, 0.0], [0.75, 1 / 3]], [], [[0.25, 0.0]]]
    assert len({to_hex(line.get_color()) for line in axes.get_lines()}) == 3
    assert words(axes.get_legend().get_texts()) == ["words", "none", "vectors"]


def test_risk_coverage_without_answers() -> None:
    for none in ([], {}, {"words": []}):
        with pytest.raises(ValueError, match="`points` hold no answers. Give those of a report"):
            plots.risk_coverage(none)


# Seed 1 is the best on both tasks together, but not on task 19.
RUNS = [run(0, 5.0, {"1": 6.0, "19": 4.0}), run(1, 4.0, {"1": 1.0, "19": 7.0})]


def test_task_rows(tmp_path) -> None:
    expected = [plots._TaskRow(1, 2, 3.5, 1.0), plots._TaskRow(19, 2, 5.5, 7.0)]
    assert plots._task_rows(RUNS) == expected
    path = tmp_path / "results.json"
    path.write_text(json.dumps([dataclasses.asdict(item) for item in RUNS]))
    assert plots._task_rows(path) == plots._task_rows(str(path)) == expected
    alone = {"validation_error": 2.0, "errors": {"2": 2.0}}
    assert plots._task_rows([*RUNS, alone])[1] == plots._TaskRow(2, 1, 2.0, 2.0)
    # Of two models, the one with the best run counts.
    other = dataclasses.replace(run(2, 3.0, {"1": 2.0, "19": 4.0}), model="universal_transformer")
    rows = [plots._TaskRow(1, 1, 2.0, 2.0), plots._TaskRow(19, 1, 4.0, 4.0)]
    assert plots._task_rows([*RUNS, other]) == rows
    # Runs with another number of copies are another model.
    assert plots._task_rows([*RUNS, dataclasses.replace(RUNS[0], copies=3)]) == expected
    # Of two equally good runs, the first is the best for all tasks.
    even = [run(0, 5.0, {"1": 6.0, "2": 4.0}), run(1, 5.0, {"1": 4.0, "2": 6.0})]
    assert [row.best for row in plots._task_rows(even)] == [6.0, 4.0]


def test_task_table() -> None:
    table = plots.task_table(RUNS).axes[0].tables[0]
    cells = [[table[row, column].get_text() for column in range(5)] for row in range(1, 5)]
    assert [words(row) for row in cells] == [
        ["1", "one supporting fact", "2", "3.50", "1.00"],
        ["19", "path finding", "2", "5.50", "7.00"],
        ["", "mean", "", "4.50", "4.00"],
        ["", "failed (above 5 %)", "", "1", "1"],
    ]
    colours = [[to_hex(cell.get_color()) for cell in row] for row in cells]
    red = [place for place, colour in np.ndenumerate(colours) if colour == plots.RED]
    assert red == [(1, 3), (1, 4)]
    assert len(plots.TASKS) == 20


def test_invalid_results() -> None:
    records = [{**dataclasses.asdict(item), "variant": "en"} for item in RUNS]
    with pytest.raises(ValueError, match="more than one variant: en, hn"):
        plots._task_rows([records[0], {**records[1], "variant": "hn"}])
    with pytest.raises(ValueError, match="no errors by task"):
        plots._task_rows([run(0, 1.0, {})])


def test_missing_matplotlib(monkeypatch) -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == "matplotlib"]:
        monkeypatch.setitem(sys.modules, name, None)
    # Importing the module does not need matplotlib, drawing does.
    functions = runpy.run_path(plots.__file__)
    message = 'Plots need matplotlib, which is not installed: pip install "keras-qa[plots]".'
    with pytest.raises(ImportError, match=f"^{re.escape(message)}$"):
        functions["learning_curves"]({"loss": [1.0]})
