"""The retriever over LanceDB of docs/scaling.md, beside an index of the same passages."""

import pathlib

import numpy as np
import pytest
from small_encoders import Letters
from talks import TALKS, run_block

from keras_qa.documents import Index, Passage

PAGE = pathlib.Path(__file__).parents[2] / "docs" / "scaling.md"
ROWS = {f"{n}.txt": f"Row {n} has {n % 7} ferries and programs." for n in range(99)}
TEXTS = {**TALKS, **ROWS}
QUESTIONS = ["How long is the warranty of the drill?", "Who wrote the first program?", 'the "(AND']


class UnitLetters(Letters):
    """Counts the letters of a text, scaled to length 1."""

    def __call__(self, texts):
        counts = super().__call__(texts)
        return counts / np.linalg.norm(counts, axis=1, keepdims=True)


@pytest.fixture
def names(tmp_path, monkeypatch) -> dict:
    """The names that the block defines before it makes passages."""
    monkeypatch.chdir(tmp_path)
    block = PAGE.read_text("utf-8").split("## Another engine for search\n")[1]
    code = block.split("```py\n")[1].split("\npassages = [")[0]
    defined = {}
    exec(code, defined)
    return defined


def test_the_example_in_the_docs(tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    run_block("Another engine for search", capsys, "scaling.md")


def test_it_finds_what_an_index_finds(names, tmp_path) -> None:
    encoder = UnitLetters()
    passages = [Passage(name, text, 0) for name, text in TEXTS.items()]
    table = (
        names["lancedb"]
        .connect(tmp_path / "a.lance")
        .create_table("passages", list(names["rows"](passages, encoder)))
    )
    table.create_index("text", config=names["FTS"]())
    results = names["LanceRetriever"](table, encoder).search(QUESTIONS, 5)
    with Index.create(tmp_path / "a.index", "en", encoder) as index:
        index.add({"name": name, "text": text} for name, text in TEXTS.items())
        expected = index.search(QUESTIONS, 5)
    for row, other in zip(results[:2], expected[:2], strict=True):
        assert len(row) == 5
        assert row[0].document == other[0].document
        assert row[0].score == pytest.approx(1.0, abs=0.2)
        assert [passage.score for passage in row] == sorted((p.score for p in row), reverse=True)
        assert [passage.text for passage in row] == [TEXTS[passage.document] for passage in row]
    assert len(results[2]) == 5
