"""The notebooks in `examples/` run, keep their claims and print what is committed."""

from __future__ import annotations

import dataclasses
import pathlib

import keras
import nbformat
import notebooks
import pytest

EXAMPLES = pathlib.Path(__file__).parents[2] / "examples"


@dataclasses.dataclass
class Expected:
    """Assertions to execute after the last cell, and the number of pictures and of outputs."""

    claims: str
    pictures: int
    outputs: int


WALKTHROUGH = """
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

DOCUMENTS = """
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

FINE_TUNING = """
assert (len(train), len(valid)) == (12, 4)
assert before["exact_match"] < 50 < 75 <= after["exact_match"] and after["examples"] == 4
assert qa.model_.optimizer.gradient_accumulation_steps == 2
assert (best.text, best.start, best.end) == ("blue", 12, 16)
assert all(abs(answer.score - best.score) < 1e-4 for answer in kept.values())
sizes = [(folder / name).stat().st_size for name in ("adapter.keras", "mine.keras")]
assert sizes[0] < sizes[1]
print(keras.config.backend())
"""

EXPECTED = {
    "walkthrough": Expected(WALKTHROUGH, pictures=0, outputs=14),
    "documents": Expected(DOCUMENTS, pictures=3, outputs=7),
    "fine_tuning": Expected(FINE_TUNING, pictures=0, outputs=4),
}


def read(name: str) -> nbformat.NotebookNode:
    return nbformat.read(EXAMPLES / f"{name}.ipynb", as_version=4)


@pytest.mark.parametrize("name", EXPECTED)
def test_notebook_is_committed_executed_and_clean(name) -> None:
    notebooks.assert_clean(read(name), EXPECTED[name].pictures)


# The walkthrough shows that notebooks run; the functions of the others have tests of their own.
@pytest.mark.parametrize(
    "name",
    [
        "walkthrough",
        pytest.param("documents", marks=pytest.mark.full),
        pytest.param("fine_tuning", marks=pytest.mark.full),
    ],
)
def test_notebook_keeps_its_claims_and_prints_what_is_committed(name, tmp_path) -> None:
    committed, expected = read(name), EXPECTED[name]
    # The notebook on fine-tuning reads a checkpoint of the tests by a relative path.
    again = notebooks.executed(committed, expected.claims, tmp_path, EXAMPLES)
    assert notebooks.printed(again.cells[-1]).strip() == keras.config.backend()
    assert len(notebooks.pngs(again)) == expected.pictures
    pairs = notebooks.pairs(committed, again)
    assert sum(bool(old) for old, _ in pairs) == expected.outputs
    assert [new for _, new in pairs] == [old for old, _ in pairs]
