"""The notebook that asks a folder of documents runs, and keeps its claims."""

from __future__ import annotations

import pathlib

import keras
import nbformat
import notebooks
import pytest

EXAMPLES = pathlib.Path(__file__).parents[2] / "examples"

# Read in the kernel after the last cell: a value for each claim that the notebook makes.
CLAIMS = """
import keras
import numpy as np

def drawn(axes):
    return [bar.get_width() for bar in axes.patches]

assert drawn(scores.axes[0]) == [hit.score for hit in hits] and len(hits) == 5
for axes, part in zip(compared.axes, found.values(), strict=True):
    assert drawn(axes) == [hit.score for hit in part]
assert [part[0].document for part in found.values()] == ["pay.md", "computers.md"]
assert index.search("How long is the guarantee?") == []
assert both.search("How long is the guarantee?", k=1)[0].heading.endswith("Warranty")
assert (first.text, first.document, first.line) == ("thirty", "leave.md", 3)
assert [answer.text for answer in nothing] == ["", ""] and nothing[1].score == 1
assert (before.questions, before.located, before.recall[5]) == (12, 11, 1000 / 11)
assert before.exact_match > 50 and before.points[-1].coverage < always.points[-1].coverage
assert [list(line.get_ydata()) for line in risk.axes[0].get_lines()] == [
    [point.risk for point in report_.points] for report_ in (before, always)
]
right = [one.text in item.answers for item, one in zip(questions, sure) if one.text]
assert len(right) >= 3 and np.mean(right) > 0.8
assert with_vectors.recall[1] == 100 > after.recall[1]
print(keras.config.backend())
"""


@pytest.fixture(scope="module")
def committed() -> nbformat.NotebookNode:
    return nbformat.read(EXAMPLES / "documents.ipynb", as_version=4)


def test_it_is_committed_as_it_was_run(committed) -> None:
    notebooks.assert_clean(committed, pictures=3)


# The walkthrough shows that notebooks run; what this one calls has tests of its own.
@pytest.mark.full
def test_it_runs_and_prints_what_is_committed(committed, tmp_path) -> None:
    again = notebooks.executed(committed, CLAIMS, tmp_path, tmp_path)
    assert notebooks.printed(again.cells[-1]).strip() == keras.config.backend()
    assert len(notebooks.pngs(again)) == 3
    pairs = notebooks.pairs(committed, again)
    assert sum(bool(old) for old, _ in pairs) == 7
    assert [new for _, new in pairs] == [old for old, _ in pairs]
