"""Plots draw the given values."""

import runpy
import sys

import numpy as np
import pytest
from matplotlib.colors import to_hex

from keras_qa import Answer, Support
from keras_qa.report import plots
from keras_qa.report.findings import Point

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


SURE = [Point(0.9, 1, 0.25, 0.0), Point(0.5, 3, 0.75, 1 / 3)]


def test_risk_coverage() -> None:
    axes = plots.risk_coverage(SURE).axes[0]
    [line] = axes.get_lines()
    np.testing.assert_array_equal(line.get_xydata(), [[0.25, 0.0], [0.75, 1 / 3]])
    assert axes.get_legend() is None
    # The limits contain all possible values.
    (left, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()
    assert left <= 0 < 1 <= right
    assert bottom <= 0 < 1 <= top
    axes = plots.risk_coverage({"words": SURE, "none": [], "vectors": SURE[:1]}).axes[0]
    curves = [line.get_xydata().tolist() for line in axes.get_lines()]
    assert curves == [[[0.25, 0.0], [0.75, 1 / 3]], [], [[0.25, 0.0]]]
    assert len({to_hex(line.get_color()) for line in axes.get_lines()}) == 3
    assert words(axes.get_legend().get_texts()) == ["words", "none", "vectors"]
    for none in ([], {}, {"words": []}):
        with pytest.raises(ValueError, match="`points` hold no answers. Give those of a report"):
            plots.risk_coverage(none)


def test_missing_matplotlib(monkeypatch) -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == "matplotlib"]:
        monkeypatch.setitem(sys.modules, name, None)
    # Importing the module does not need matplotlib, drawing does.
    functions = runpy.run_path(plots.__file__)
    message = 'A plot needs `matplotlib`, .* Install it: `pip install "keras-qa\\[plots\\]"`.'
    with pytest.raises(ImportError, match=f"^{message}$"):
        functions["risk_coverage"](SURE)
