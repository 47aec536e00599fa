"""The encoder of an index: missing, set later, wrong, and invalid vectors."""

import sqlite3
import warnings

import numpy as np
import pytest
from small_encoders import Letters, Table, places

from keras_qa.documents import Document, Index


def test_an_index_opened_without_its_encoder_is_searched_by_words(tmp_path) -> None:
    path = tmp_path / "a.index"
    with Index.create(path, encoder=Letters()) as index:
        index.add([Document("a", "Some words."), Document("b", "Other words.")])
    with Index.open(path) as index:
        assert (index.encoder_name, index.names, index.text("a")) == (
            "letters",
            ["a", "b"],
            "Some words.",
        )
        with pytest.warns(
            UserWarning,
            match=r"^`.*a\.index` has vectors of the encoder 'letters', but was opened without it, "
            r"so it is searched by words only\. Open it with `Index\.open\(path, encoder=…\)`\.$",
        ) as caught:
            assert [hit.document for hit in index.search("other")] == ["b"]
        assert caught[0].filename == __file__
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert index.search("nothing") == []
        for write in (lambda: index.add([Document("c", "New.")]), lambda: index.update(tmp_path)):
            with pytest.raises(
                ValueError,
                match=r"^`.*a\.index` has vectors of the encoder 'letters', so new documents "
                r"need it, too\. Open it with `Index\.open\(path, encoder=…\)`, or "
                r"`keras-qa index --embed letters`\.$",
            ):
                write()
        index.remove("b")
        assert places(index) == ([1], [1])


def test_the_encoder_of_an_open_index_can_be_set(tmp_path) -> None:
    path = tmp_path / "a.index"
    with Index.create(path, encoder=Letters()) as index:
        index.add([Document("a", "Some words."), Document("b", "Other words.")])
        by_vectors = index.search("sword")
        by_words = index.search("other")
    assert len(by_vectors) == len(by_words) == 2
    with Index.open(path) as index, warnings.catch_warnings():
        warnings.simplefilter("error")
        index.use(None)
        assert index.search("sword") == []
        for wrong, kind in ((Table({}), ValueError), ("letters", TypeError)):
            with pytest.raises(
                kind, match=r"`.*a\.index` has vectors of|^`encoder` must have a `na"
            ):
                index.use(wrong)
            assert index.search("sword") == []
        index.use(Letters())
        assert (index.search("sword"), index.search("other")) == (by_vectors, by_words)
        assert index.add([Document("c", "New.")]) == 1
        index.use(None)
        assert [hit.document for hit in index.search("other")] == ["b"]


def test_a_wrong_encoder_raises(tmp_path) -> None:
    path = tmp_path / "a.index"
    for wrong in ("minilm", lambda texts: texts, type("A", (), {"name": "a"})()):
        for make in (Index.create, Index.open):
            with pytest.raises(
                TypeError, match=r"^`encoder` must have a `name`, a string, and return vectors whe"
            ):
                make(path, encoder=wrong)
    assert not path.exists()
    Index.create(path).close()
    with pytest.raises(
        ValueError, match=r"a\.index` was made without an encoder, and has no vectors\. Create an"
    ):
        Index.open(path, Letters())
    path.unlink()
    Index.create(path, encoder=Letters()).close()
    with pytest.raises(
        ValueError,
        match=r"^`.*a\.index` has vectors of the encoder 'letters', and none of 'table'\. Open it",
    ):
        Index.open(path, Table({}))
    # A name may be a path with undecodable bytes.
    odd = Letters()
    odd.name = "/home/\udce9"
    with Index.create(tmp_path / "b.index", encoder=odd) as index:
        assert index.encoder_name == odd.name


WRONG = {
    "long": (
        lambda texts: np.ones((len(texts) + 1, 3)),
        r"\(1, 3\)\. Received: shape \(2, 3\) of float64\.$",
    ),
    "flat": (lambda texts: np.ones(len(texts)), r"\(1,\) of float64\.$"),
    "none": (lambda texts: np.ones((len(texts), 0)), r"\(1, 0\) of float64\.$"),
    "words": (lambda texts: [["a"]], r"\(1, 1\) of <U1\.$"),
    "nan": (
        lambda texts: np.full((len(texts), 3), np.nan),
        r"^The encoder 'wrong' returned a vector that is not finite for the text 'New\.'\.$",
    ),
    "large": (lambda texts: np.full((len(texts), 3), 1e300), "is not finite for the text 'New"),
}


@pytest.mark.parametrize("kind", WRONG)
def test_vectors_of_an_encoder_are_checked(tmp_path, kind) -> None:
    gives, message = WRONG[kind]
    path, folder = tmp_path / "a.index", tmp_path / "texts"
    folder.mkdir()
    (folder / "new.txt").write_text("New.")

    class Wrong:
        name = "wrong"

        def __call__(self, texts):
            return gives(texts) if "New." in texts else np.ones((len(texts), 3))

    with Index.create(path, encoder=Wrong()) as index:
        index.add([Document("a", "Old.")])
        # `update` raises, too, and does not report the file as unreadable.
        for write in (lambda: index.add([Document("b", "New.")]), lambda: index.update(folder)):
            with pytest.raises(ValueError, match=message) as raised:
                write()
            assert "The encoder 'wrong'" in str(raised.value)
            assert index.names == ["a"]
            assert places(index) == ([1], [1])
        with pytest.raises(ValueError, match=message):
            index.search(["New."])


def test_vectors_of_another_dimension_raise(tmp_path) -> None:
    path = tmp_path / "a.index"
    with Index.create(path, encoder=Letters()) as index:
        index.add([Document("a", "Old.")])
    other = Table({})
    other.name = "letters"
    message = (
        r"^The encoder 'letters' must return an array of numbers of shape \(1, 26\)\. "
        r"Received: shape \(1, 2\) of float32\.$"
    )
    with Index.open(path, other) as index:
        for use in (lambda: index.search("old"), lambda: index.add([Document("b", "New.")])):
            with pytest.raises(ValueError, match=message):
                use()
    connection = sqlite3.connect(path)
    connection.execute("UPDATE vectors SET vector = x'00'")
    # Version 1 has no checksum, which would be checked first.
    connection.execute("PRAGMA user_version = 1")
    connection.commit()
    connection.close()
    with pytest.warns(UserWarning, match="was made by an earlier version"):
        index = Index.open(path, Letters())
    with (
        index,
        pytest.raises(ValueError, match=r"is damaged: a vector has another width than the others"),
    ):
        index.search("old")
