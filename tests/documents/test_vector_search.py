"""Vectors in an index: which are stored, and how they are compared."""

import numpy as np
import pytest
from small_encoders import Letters, Table, places

from keras_qa.documents import Document, Index, vector_search, writing
from keras_qa.documents import search as searching
from keras_qa.documents.search import fuse


def cosines(texts: list[str], question: str) -> np.ndarray:
    found = Letters()([*texts, question]).astype("float64")
    found /= np.linalg.norm(found, axis=1, keepdims=True)
    return found[:-1] @ found[-1]


def test_the_score_is_the_mean_of_the_shares_of_words_and_of_vectors(tmp_path) -> None:
    known = {"red fox": (3.0, 4.0), "red red": (0.0, 9.0), "blue": (4.0, 3.0), "grey": (-1.0, 0.0)}
    texts = [*known, "green"]
    documents = [{"name": text, "text": text} for text in texts]
    with Index.create(tmp_path / "words.index", language="en") as plain:
        plain.add(documents)
        by_words = {passage.text: passage.score for passage in plain.search("red colour")}
    assert sorted(by_words) == ["red fox", "red red"]
    best = max(by_words.values())
    encoder = Table({**known, "red colour": (0.6, 0.8)})
    with Index.create(tmp_path / "a.index", language="en", encoder=encoder) as index:
        assert index.add(documents) == 5
        passages = index.search("red colour")
    # The cosines are 1, 0.8, 0.96, -0.6 and 0. The last two passages have no word of the question.
    expected = {
        "red fox": (by_words["red fox"] / best + 1) / 2,
        "red red": (by_words["red red"] / best + 0.8) / 2,
        "blue": 0.96 / 2,
    }
    assert [passage.text for passage in passages] == sorted(
        expected, key=expected.get, reverse=True
    )
    assert [passage.score for passage in passages] == pytest.approx(
        [expected[passage.text] for passage in passages], abs=1e-3
    )


def test_two_rankings_are_fused() -> None:
    words, found = [(1, 8.0), (2, 6.0), (3, 2.0)], [(2, 0.8), (4, 0.6), (5, -0.1)]
    assert fuse(words, found, 4) == [
        (2, pytest.approx((6 / 8 + 1) / 2)),
        (1, pytest.approx(1 / 2)),
        (4, pytest.approx(0.6 / 0.8 / 2)),
        (3, pytest.approx(2 / 8 / 2)),
    ]
    # In a full ranking, a missing passage gets the lowest score.
    assert fuse(words, [(2, 0.8), (4, 0.4)], 2) == [
        (2, pytest.approx((6 / 8 + 1) / 2)),
        (1, pytest.approx((1 + 0.4 / 0.8) / 2)),
        (3, pytest.approx((2 / 8 + 0.4 / 0.8) / 2)),
        (4, pytest.approx((2 / 8 + 0.4 / 0.8) / 2)),
    ]
    assert fuse([], found, 3) == [(2, 0.5), (4, pytest.approx(0.375))]
    assert fuse([], [(2, 0.0), (4, -0.5)], 3) == fuse([], [], 3) == []


def test_passages_are_encoded_with_their_headings(tmp_path) -> None:
    encoder = Letters()
    text = "# Zoo\n\nCats sleep.\n\n## Quiz\n\nWho eats?"
    with Index.create(tmp_path / "a.index", language="en", encoder=encoder) as index:
        index.add([Document("a", text), Document("b", "Plain words.")])
        assert encoder.calls == [
            ["Zoo\n# Zoo\n\nCats sleep.", "Zoo > Quiz\n## Quiz\n\nWho eats?", "Plain words."]
        ]
        assert (index.encoder_name, index.passages) == ("letters", 3)
        assert index.search("xylophone quiz wizards", k=1)[0].text == "## Quiz\n\nWho eats?"
        assert encoder.calls[1:] == [["xylophone quiz wizards"]]


def test_vectors_are_added_and_removed_with_their_passages(tmp_path, monkeypatch) -> None:
    encoder = Letters()
    with Index.create(tmp_path / "a.index", encoder=encoder) as index:
        index.add({"name": f"{n}", "text": f"Some words n{n}."} for n in range(9))
        kept, found = places(index)
        assert kept == found == [*range(1, 10)]
        # Unchanged, new, and replaced before it was encoded: this one is never encoded.
        assert index.add([Document("1", "Some words n1."), Document("2", "New.")]) == 1
        assert encoder.calls[1:] == [["New."]]
        index.add([Document("3", "First."), Document("3", "Last.")])
        assert encoder.calls[2:] == [["Last."]]
        index.remove("4")
        kept, found = places(index)
        assert kept == found == [1, 2, 6, 7, 8, 9, 10, 12]
        # A document with more passages than are encoded at a time.
        monkeypatch.setattr(writing, "ENCODED", 4)
        text = " ".join(f"Sentence number {n} is here." for n in range(300))
        index.add([Document("long", text)])
        assert {len(call) for call in encoder.calls[3:]} == {4, index.passages % 4 or 4}
        kept, found = places(index)
        assert kept == found
        rows = dict(index._connection.execute("SELECT passage, vector FROM vectors").fetchall())
        stored = np.frombuffer(rows[10], "<f2").astype("float32")
        [new] = Letters()(["New."])
        assert stored == pytest.approx(new / np.linalg.norm(new), abs=5e-4)
        for entry in index.names:
            index.remove(entry)
        assert places(index) == ([], [])
        assert index.search("words") == []


@pytest.mark.parametrize("in_memory", [vector_search.IN_MEMORY, 0])
def test_all_vectors_are_compared_in_blocks(tmp_path, monkeypatch, in_memory) -> None:
    monkeypatch.setattr(vector_search, "_PASSAGES", 5)
    monkeypatch.setattr(searching, "QUESTIONS", 2)
    monkeypatch.setattr(searching, "DEPTH", 3)
    monkeypatch.setattr(vector_search, "IN_MEMORY", in_memory)
    path = tmp_path / "a.index"
    rng = np.random.default_rng(0)
    letters = np.array(list("abcdefghijklmnopqrstuvwxyz"))
    texts = {f"{n:02}": "".join(rng.choice(letters, 12)) for n in range(32)}
    documents = [Document(name, text) for name, text in texts.items()]
    # The texts contain no word of the questions.
    questions = ["".join(rng.choice(letters, 9)) for _ in range(5)]

    def check(index: Index, *names: str) -> None:
        """Compares the best cosines with those of all texts; float16 changes the fourth digit."""
        for k in (2, 99):
            for question, passages in zip(questions, index.search(questions, k), strict=True):
                found = [passage.document for passage in passages]
                assert len(set(found)) == len(found)
                assert set(found) <= set(names)
                best = np.sort(cosines([texts[name] for name in names], question))[::-1]
                expected = best[best > 0][:k]
                got = cosines([texts[name] for name in found], question)
                assert got == pytest.approx(expected, abs=2e-3)

    with Index.create(path, encoder=Letters()) as index:
        index.add(documents[:20])
        check(index, *list(texts)[:20])
        assert (index._shards[0].vector_search._cache is None) == (in_memory == 0)
        # Own changes are seen, and those of other connections.
        index.remove("03")
        index.add(documents[20:25])
        del texts["03"]
        check(index, *list(texts)[:24])
        with Index.open(path, Letters()) as other:
            other.add(documents[25:])
            for one in (index, other):
                check(one, *texts)


def test_equal_passages_come_in_the_order_in_which_they_were_written(tmp_path) -> None:
    with Index.create(tmp_path / "a.index", encoder=Letters()) as index:
        index.add({"name": name, "text": "same words"} for name in "cab")
        assert [passage.document for passage in index.search("mows")] == ["c", "a", "b"]
        assert [passage.document for passage in index.search("same")] == ["c", "a", "b"]


def test_a_question_without_a_word_finds_nothing(tmp_path) -> None:
    asked = []

    class Alike:
        name = "alike"

        def __call__(self, texts):
            asked.append(texts)
            return np.ones((len(texts), 2))

    with Index.create(tmp_path / "a.index", encoder=Alike()) as index:
        assert index.search(["a", ""]) == [[], []]
        assert index.search([]) == []
        index.add([Document("a", "Some words."), Document("b", "")])
        assert asked == [["Some words."]]
        assert index.search(["", "?!", "\0"]) == [[], [], []]
        assert index.search([]) == []
        assert [passage.document for passage in index.search("other")] == ["a"]


def test_lengths_do_not_count(tmp_path) -> None:
    known = {"a": (3e-20, 4e-20), "b": (3e30, -4e30), "c": (1.0, 1.0), "zero": (0.0, 0.0)}
    found = vector_search.unit_vectors(Table(known)([*known]), [*known], "table")
    assert found.dtype == np.float32
    half = 0.5**0.5
    assert found.tolist() == [
        pytest.approx([0.6, 0.8]),
        pytest.approx([0.6, -0.8]),
        pytest.approx([half, half]),
        [0.0, 0.0],
    ]
