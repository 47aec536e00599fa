"""Several indexes, searched as one."""

import itertools
import random

import numpy as np
import pytest
from pdf_files import lines, write_pdf
from small_encoders import Letters

from keras_qa.documents import Document, Index
from keras_qa.documents import search as searching

WORDS = {
    "en": "the rain rains raining fox foxes red river rivers running with of warranty year a",
    "de": "der Regen über Straße Fuchs rote Flüsse läuft die Garantie Jahr und nicht",
    "ja": "雨が降る 川の水 赤い狐 保証期間 2年です",
}


class Counts:
    """Vectors of small integers, whose products have no rounding errors."""

    name = "counts"

    def __call__(self, texts):
        counts = [[text.count(letter) + 1 for letter in "aeir"] for text in texts]
        return np.eye(4, dtype="float32")[np.argmax(counts, axis=1)]


def make_documents(language: str, generator: random.Random, count: int = 60) -> list[Document]:
    words = WORDS[language].split()
    weights = [1 / rank for rank in range(1, len(words) + 1)]
    texts = [
        " ".join(generator.choices(words, weights, k=generator.randrange(90))) for _ in range(count)
    ]
    # Equal passages have equal scores.
    texts[-1] = texts[0]
    return [
        Document(f"{number}", f"{text}.\n\n{text[:40]}" * (1 + number % 3))
        for number, text in enumerate(texts)
    ]


def results(index: Index, questions: list[str], k: int) -> list[list[tuple]]:
    return [
        [(hit.document, hit.start, hit.end, hit.line, hit.text, hit.score) for hit in hits]
        for hits in index.search(questions, k=k)
    ]


@pytest.mark.parametrize("encoder", [None, Counts()])
@pytest.mark.parametrize("language", WORDS)
def test_shards_rank_as_one_index(language, encoder, tmp_path, monkeypatch) -> None:
    generator = random.Random(len(language))
    documents = make_documents(language, generator)
    paths = [tmp_path / f"{number}.index" for number in range(4)]
    # The third shard has no documents; one is removed from the first.
    bounds = (0, 1, 37, 37, 60)
    for path, (first, last) in zip(paths, itertools.pairwise(bounds), strict=True):
        with Index.create(path, language, encoder) as shard:
            shard.add(documents[first:last])
    with Index.open(paths[0], encoder) as shard:
        shard.add([{"name": "removed", "text": "rain Regen 雨 " * 200}])
        shard.remove("removed")
    words = WORDS[language].split()
    questions = [" ".join(generator.sample(words, size)) for size in (1, 2, 3, 5)]
    questions = [*questions, "rains rain raining", "nothing", ""]
    with (
        Index.create(tmp_path / "whole.index", language, encoder) as whole,
        Index.open(paths, encoder) as shards,
    ):
        whole.add(documents)
        assert (len(shards), shards.passages) == (60, whole.passages)
        assert (shards.names, shards.language) == (whole.names, language)
        # Passages are searched for rare words; with smaller limits, frequent words only rank.
        for limit in (searching.RANKED, 80):
            monkeypatch.setattr(searching, "RANKED", limit)
            for k in (1, 7, 1_000):
                expected = results(whole, questions, k)
                assert [
                    [(*hit[:-1], pytest.approx(hit[-1], rel=1e-9)) for hit in hits]
                    for hits in expected
                ] == results(shards, questions, k)
        assert len(expected[1]) > 7
        assert [passage.document for passage in shards.search(questions[0])] == [
            hit[0] for hit in results(whole, questions[:1], 20)[0]
        ]


def test_parts_of_documents_come_from_their_shard(tmp_path) -> None:
    folders = [tmp_path / "a", tmp_path / "b"]
    for folder in folders:
        folder.mkdir()
    (folders[0] / "a.md").write_text("# Rain\n\nIt *rains* in May.")
    write_pdf(folders[1] / "b.pdf", [lines("The warranty is two years.")])
    paths = [tmp_path / "a.index", tmp_path / "b.index"]
    for path, folder in zip(paths, folders, strict=True):
        with Index.create(path, language="en") as shard:
            shard.update(folder)
    with Index.open(paths) as index, Index.open(paths[1]) as shard:
        assert index.text("a.md") == "# Rain\n\nIt *rains* in May."
        assert index.visible_text("a.md", 8).text == "It rains in May."
        assert index.pages("b.pdf") == shard.pages("b.pdf") == (0,)
        assert index.boxes("b.pdf", 4, 12) == shard.boxes("b.pdf", 4, 12) != ()
        assert index.draw_page("b.pdf", 1) == shard.draw_page("b.pdf", 1)
        assert index.search("warranty")[0].page == 1
        with pytest.raises(KeyError, match=r"The index has no document 'c'\."):
            index.text("c")


def test_shards_follow_changes_and_cannot_be_changed(tmp_path) -> None:
    paths = [tmp_path / "a.index", tmp_path / "b.index"]
    for path in paths:
        with Index.create(path, language="en") as shard:
            shard.add([{"name": path.name, "text": "Rain in May."}])
    with Index.open(paths) as index:
        assert [hit.document for hit in index.search("rain")] == ["a.index", "b.index"]
        with Index.open(paths[0]) as shard:
            shard.add([{"name": "new", "text": "Rain, rain, rain."}])
        assert index.search("rain")[0].document == "new"
        message = (
            r"^Several indexes that were opened as one cannot be changed\. Open the one to change "
            r"by its path\. Received: path=\[.*\]\.$"
        )
        for change in (
            lambda: index.add([{"name": "c", "text": "c"}]),
            lambda: index.remove("new"),
            lambda: index.update(tmp_path),
        ):
            with pytest.raises(ValueError, match=message):
                change()
        assert index.names == ["a.index", "new", "b.index"]
    with pytest.raises(ValueError, match=r"a\.index` is closed\. Open it with `Index\.open`\."):
        index.search("rain")
    # A list of one path is that index.
    with Index.open([paths[0]]) as index:
        index.remove("new")
        assert index.names == ["a.index"]


def make(path, language="en", encoder=None, name=None) -> None:
    with Index.create(path, language, encoder) as index:
        index.add([{"name": name or path.name, "text": "Rain in May."}])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"language": "de"},
            r"the same language\. `.*a\.index` has 'en', `.*b\.index` has 'de'\. Make them with",
        ),
        (
            {"encoder": Letters()},
            r"the same encoder\. `.*a\.index` has None, `.*b\.index` has 'letters'\. Make them",
        ),
        (
            {"name": "a.index"},
            r"documents of different names\. `.*a\.index` and `.*b\.index` both have 'a\.index'\. "
            r"Remove it from one of them\.$",
        ),
    ],
)
def test_shards_must_agree(options, message, tmp_path) -> None:
    paths = [tmp_path / "a.index", tmp_path / "b.index"]
    make(paths[0])
    make(paths[1], **options)
    with pytest.raises(ValueError, match=f"^Indexes that are opened as one must have {message}"):
        Index.open(paths)
    for path in ([], {"a"}, None):
        with pytest.raises(TypeError, match=r"^`path` must be a path, or a list of paths that"):
            Index.open(path)
    with pytest.raises(FileNotFoundError, match=r"^There is no index at '.*c\.index'\."):
        Index.open([paths[0], tmp_path / "c.index"])


def test_an_error_names_the_damaged_shard(tmp_path) -> None:
    paths = [tmp_path / "a.index", tmp_path / "b.index", tmp_path / "c.index"]
    for path in paths:
        make(path)
    with Index.open(paths) as index:
        # No checksum but that of the document notices this change.
        with Index.open(paths[1]) as shard:
            shard._connection.execute("UPDATE texts SET text = X'41'")
        for read in (lambda: index.text("b.index"), lambda: index.search("rain")):
            with pytest.raises(ValueError, match=r"^`.*b\.index` is damaged: the checksum of"):
                read()
        assert index.text("c.index") == "Rain in May."
