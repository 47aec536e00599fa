"""The notebook that fine-tunes a published reader runs, and keeps its claims."""

from __future__ import annotations

import pathlib

import keras
import nbformat
import notebooks
import pytest

EXAMPLES = pathlib.Path(__file__).parents[2] / "examples"

# Read in the kernel after the last cell: a value for each claim that the notebook makes.
CLAIMS = """
assert (len(train), len(valid)) == (12, 4)
assert before["exact_match"] < 50 < 75 <= after["exact_match"] and after["examples"] == 4
assert qa.model_.optimizer.gradient_accumulation_steps == 2
assert (best.text, best.start, best.end) == ("blue", 12, 16)
assert all(abs(answer.score - best.score) < 1e-4 for answer in kept.values())
sizes = [(folder / name).stat().st_size for name in ("adapter.keras", "mine.keras")]
assert sizes[0] < sizes[1]
print(keras.config.backend())
"""


@pytest.fixture(scope="module")
def committed() -> nbformat.NotebookNode:
    return nbformat.read(EXAMPLES / "fine_tuning.ipynb", as_version=4)


def test_it_is_committed_as_it_was_run(committed) -> None:
    notebooks.assert_clean(committed)
    text = "".join(cell.source for cell in committed.cells)
    assert 'READER = "hf://deepset/minilm-uncased-squad2"' in text


# The walkthrough shows that notebooks run; what this one calls has tests of its own.
@pytest.mark.full
def test_it_runs_and_prints_what_is_committed(committed, tmp_path) -> None:
    again = notebooks.executed(committed, CLAIMS, tmp_path, EXAMPLES)
    assert notebooks.printed(again.cells[-1]).strip() == keras.config.backend()
    pairs = notebooks.pairs(committed, again)
    assert sum(bool(old) for old, _ in pairs) == 4
    assert [new for _, new in pairs] == [old for old, _ in pairs]
