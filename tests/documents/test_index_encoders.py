"""The encoder of an index: missing, set later, wrong, and invalid vectors."""

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
        assert (index.encoder_name, index.names) == ("letters", ["a", "b"])
        assert index.text("a") == "Some words."
        with pytest.warns(
            UserWarning,
            match=r"^`.*a\.index` has vectors of the encoder 'letters', but was opened without it, "
            r"so it is searched by words only\. Open it with `Index\.open\(path, encoder=…\)`\.$",
        ) as caught:
            assert [passage.document for passage in index.search("other")] == ["b"]
        assert caught[0].filename == __file__
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert index.search("nothing") == []
        for write in (lambda: index.add([Document("c", "New.")]), lambda: index.update(tmp_path)):
            message = (
                r"^`.*a\.index` has vectors of the encoder 'letters', so new documents need it, "
                r"too\. .* `Index\.open\(path, encoder=…\)`, or `keras-qa index --embed letters`\.$"
            )
            with pytest.raises(ValueError, match=message):
                write()
        index.remove("b")
        assert places(index) == ([1], [1])


def test_vectors_are_added_to_an_index_without_them(tmp_path) -> None:
    documents = [Document(f"{n}", f"# Part {n}\n\n{'word ' * (n % 50)}end.") for n in range(300)]
    path, whole = tmp_path / "a.index", tmp_path / "whole.index"
    with Index.create(whole, "en", Letters()) as index:
        index.add(documents)
        expected = [(passage.document, passage.score) for passage in index.search("fork", k=9)]
    with Index.create(path) as index:
        index.add(documents)

    class Stopping(Letters):
        def __call__(self, texts):
            if self.calls:
                raise KeyboardInterrupt
            return super().__call__(texts)

    with pytest.raises(KeyboardInterrupt):
        Index.create(path, encoder=Stopping(), exist_ok=True)
    encoder = Letters()
    with Index.create(path, encoder=encoder, exist_ok=True) as index:
        passages, with_vectors = places(index)
        assert len(passages) == 300
        assert with_vectors == passages[:256]
        # The next change writes the vectors that are missing.
        index.add([])
        assert [len(texts) for texts in encoder.calls] == [44]
        assert places(index) == (passages, passages)
        assert [
            (passage.document, passage.score) for passage in index.search("fork", k=9)
        ] == expected
    with Index.create(path, encoder=Letters(), exist_ok=True) as index:
        assert index.encoder_name == "letters"
    with pytest.raises(
        ValueError, match=r"^`.*a\.index` has vectors of the encoder 'letters', and"
    ):
        Index.create(path, encoder=Table({}), exist_ok=True)
    with pytest.raises(
        ValueError, match=r"^`.*` was made for the language 'en', which cannot chan"
    ):
        Index.create(whole, "de", exist_ok=True)
    with Index.create(tmp_path / "b.index") as index:
        assert index.language is None
    with Index.create(tmp_path / "b.index", "de", exist_ok=True) as index:
        assert index.language == "de"


def test_a_wrong_encoder_raises(tmp_path) -> None:
    path = tmp_path / "a.index"
    for wrong in ("minilm", lambda texts: texts, type("A", (), {"name": "a"})()):
        for make in (Index.create, Index.open):
            with pytest.raises(TypeError, match=r"^`encoder` must have a `name`, a string, and "):
                make(path, encoder=wrong)
    assert not path.exists()
    Index.create(path).close()
    with pytest.raises(
        ValueError, match=r"no vectors\. Add them: `Index\.create\(path, encoder=…, e"
    ):
        Index.open(path, Letters())
    path.unlink()
    Index.create(path, encoder=Letters()).close()
    with pytest.raises(ValueError, match=r"^`.*` has vectors of the encoder 'letters', and none"):
        Index.open(path, Table({}))
    # A name may be a path with undecodable bytes.
    odd = Letters()
    odd.name = "/home/\udce9"
    with Index.create(tmp_path / "b.index", encoder=odd) as index:
        assert index.encoder_name == odd.name


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (np.ones((2, 3)), r"\(1, 3\)\. Received: shape \(2, 3\) of float64\.$"),
        (np.ones((1, 2)), r"of shape \(1, 3\)\. Received: shape \(1, 2\) of float64\.$"),
        (np.ones(1), r"\(1,\) of float64\.$"),
        (np.ones((1, 0)), r"\(1, 0\) of float64\.$"),
        ([["a"]], r"\(1, 1\) of <U1\.$"),
        (np.full((1, 3), np.nan), r"a vector that is not finite for the text 'New\.'\.$"),
        (np.full((1, 3), 1e300), r"a vector that is not finite for the text 'New\.'\.$"),
    ],
)
def test_vectors_of_an_encoder_are_checked(tmp_path, wrong, message) -> None:
    path, folder = tmp_path / "a.index", tmp_path / "texts"
    folder.mkdir()
    (folder / "new.txt").write_text("New.")

    class Wrong:
        name = "wrong"

        def __call__(self, texts):
            return wrong if "New." in texts else np.ones((len(texts), 3))

    with Index.create(path, encoder=Wrong()) as index:
        index.add([Document("a", "Old.")])
    # The dimension is known to the file.
    with Index.open(path, Wrong()) as index:
        # `update` raises, too, and does not report the file as unreadable.
        for use in (
            lambda: index.add([Document("b", "New.")]),
            lambda: index.update(folder),
            lambda: index.search(["New."]),
        ):
            with pytest.raises(ValueError, match=message) as raised:
                use()
            assert str(raised.value).startswith("The encoder 'wrong' ")
            assert index.names == ["a"]
            assert places(index) == ([1], [1])
