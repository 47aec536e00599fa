"""Indexes written by an earlier version open and return the same passages."""

import json
import pathlib
import shutil

import pytest
from small_encoders import Letters

from keras_qa.documents import Index

FOLDER = pathlib.Path(__file__).parent.parent / "golden"
SEARCHES = ["How long is the warranty?", "send back", "zebra"]


@pytest.mark.parametrize(("name", "encoder"), [("words", None), ("vectors", Letters())])
def test_a_golden_index_returns_the_same_passages(tmp_path, name: str, encoder) -> None:
    expected = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    # A copy, because the test writes to it.
    path = shutil.copy(FOLDER / f"{name}.index", tmp_path)
    with pytest.warns(UserWarning, match="made by an earlier version and has no checksum"):
        index = Index.open(path, encoder=encoder)
    with index:
        found = index.search(SEARCHES, k=3)
        assert {name: index.text(name) for name in index.names} == expected["texts"]
        assert index.add([{"name": "new", "text": "A zebra."}]) == 1
        assert [hit.document for hit in index.search("zebra", k=1)] == ["new"]
    # It was written, so it has a checksum, and opens without a warning.
    Index.open(path, encoder=encoder).close()
    for hits, before in zip(found, expected["hits"], strict=True):
        assert [[hit.document, hit.start, hit.text] for hit in hits] == [one[:3] for one in before]
        assert [hit.score for hit in hits] == pytest.approx([one[3] for one in before])
