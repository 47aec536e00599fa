"""`Index`: adding, searching and removing documents, concurrent use, and invalid files."""

import math
import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_encoders import Letters, places

from keras_qa.documents import Index, storage, writing
from keras_qa.documents import search as searching
from keras_qa.documents.full_text import FullTextTokenizer

CITIES = [
    {"name": "paris", "text": "Paris is the capital of France. The river is the Seine."},
    {"name": "rome", "text": "Rome is the capital of Italy. Its river is called the Tiber."},
    {"name": "oslo", "text": "Oslo is a city in Norway.\nIt lies at a fjord.\n\nFerries cross it."},
]


@pytest.fixture
def index(tmp_path):
    with Index.create(tmp_path / "cities.index") as made:
        made.add(CITIES)
        yield made


def names(index: Index, question: str, k: int = 20) -> list[str]:
    return [passage.document for passage in index.search(question, k)]


def bm25(texts: list[list[str]], words: list[str]) -> list[float]:
    """Okapi BM25 of tokenised texts, as FTS5 documents it."""
    average = sum(map(len, texts)) / len(texts)
    scores = [0.0] * len(texts)
    for word in words:
        having = sum(word in text for text in texts)
        idf = max(math.log((len(texts) - having + 0.5) / (having + 0.5)), 1e-6)
        for place, text in enumerate(texts):
            count = text.count(word)
            size = 1.2 * (1 - 0.75 + 0.75 * len(text) / average)
            scores[place] += idf * count * 2.2 / (count + size)
    return scores


def test_hits_are_ranked_by_bm25_of_stems(index: Index) -> None:
    stems = (
        "pari is the capit of franc the river is the sein",
        "rome is the capit of itali it river is call the tiber",
        "oslo is a citi in norwai it li at a fjord ferri cross it",
    )
    texts = [line.split() for line in stems]
    scores = bm25(texts, ["ferri", "tiber"])
    passages = index.search("Which ferry, what TIBERS?")
    assert [passage.document for passage in passages] == ["rome", "oslo"]
    assert [passage.score for passage in passages] == pytest.approx([scores[1], scores[2]])
    assert (len(index), index.passages, index.language) == (3, 3, "en")
    assert index.search(["Norwegian fjord", "nothing at all", ""], k=1) == [
        index.search("fjord"),
        [],
        [],
    ]


def test_hits_have_offsets_lines_and_headings(tmp_path) -> None:
    text = (
        "# Guide\n\nHello.\n\n## Fjords\n"
        + "One lies\nthere. " * 20
        + "\n"
        + " ".join(f"Two n{n}." for n in range(120))
    )
    with Index.create(tmp_path / "a.index") as index:
        index.add([{"name": "guide.md", "text": text}])
        assert index.names == ["guide.md"]
        assert index.text("guide.md") == text
        passages = index.search("one n3 n100 hello")
    assert len(passages) == 3
    for passage in passages:
        assert text[passage.start : passage.end] == passage.text
        assert passage.line == text.count("\n", 0, passage.start) + 1
        assert (passage.page, passage.document) == (None, "guide.md")
        at = passage.start + passage.text.rindex(".")
        assert passage.locate(at) == (text.count("\n", 0, at) + 1, None)
    assert {passage.heading for passage in passages} == {"Guide", "Guide > Fjords"}


def test_frequent_words_rank_passages_that_rare_words_select(tmp_path, monkeypatch) -> None:
    texts = [f"city {'river ' * (n % 3 == 0)}{'fjord ' * (n % 9 == 0)}n{n}" for n in range(90)]
    with Index.create(tmp_path / "a.index", language="en") as index:
        index.add({"name": f"{n}", "text": text} for n, text in enumerate(texts))
        whole = {
            passage.document: passage.score for passage in index.search("fjord river n7", k=90)
        }
        assert len(whole) == 31
        monkeypatch.setattr(searching, "RANKED", 12)
        found = {
            passage.document: passage.score for passage in index.search("fjord river n7", k=90)
        }
        # The scores are those of all words.
        assert len(found) == 11
        assert found == pytest.approx({name: whole[name] for name in found})
        # Words that are too frequent do not count.
        monkeypatch.setattr(searching, "COUNTED", 5)
        assert index.search("fjord river n7", k=90) == index.search("fjord n7", k=90)


def test_other_languages_and_scripts(tmp_path) -> None:
    with Index.create(tmp_path / "a.index") as index:
        index.add(
            [
                {"name": "ja", "text": "東京は日本の首都です。"},
                {"name": "zh", "text": "北京是中国的首都。"},
                {"name": "hi", "text": "दिल्ली भारत की राजधानी है।"},
                {"name": "de", "text": "Größte Café-Häuser der Städte."},
                {"name": "th", "text": "กรุงเทพเป็นเมืองหลวง"},
            ]
        )
        assert index.language == "und"
        assert names(index, "日本の首都") == ["ja", "zh"]
        assert names(index, "北京") == ["zh"]
        assert names(index, "ＢＥＲＬＩＮ राजधानी") == ["hi"]
        assert names(index, "cafe") == names(index, "Cafe\u0301") == ["de"]
        assert names(index, "เมืองหลวง") == ["th"]
        # Only English is stemmed.
        assert names(index, "Stadt") == []
    with Index.create(tmp_path / "b.index", language="de") as index:
        index.add([{"name": "a", "text": "the city of the state is there and was"}])
        assert (index.language, names(index, "cities")) == ("de", [])


@pytest.mark.parametrize("question", ['"', "fjord OR", "-fjord", "^b*", "(", "a\0b", "\ud800"])
def test_a_question_has_no_syntax(index: Index, question: str) -> None:
    assert names(index, f"Seine {question}")[-1:] != []
    assert names(index, question) == (["oslo"] if "fjord" in question else [])


@settings(max_examples=25, deadline=None)
@given(st.text(max_size=30), st.text(max_size=30))
def test_any_text_is_stored_and_any_question_searched(text: str, question: str) -> None:
    with tempfile.TemporaryDirectory() as folder, Index.create(f"{folder}/a.index") as index:
        index.add([{"name": "a", "text": text}, {"name": "b", "text": "Other words."}])
        assert index.text("a") == text
        tokenizer = FullTextTokenizer(str(index.language))
        asked = set(tokenizer.words(question)) - tokenizer.stop_words
        same = set(tokenizer.words(text)) & asked
        assert ("a" in names(index, question)) >= bool(same)
        index.remove("a")
        assert names(index, text) in ([], ["b"])
        assert words_left(index) == 2


def words_left(index: Index) -> int:
    """The number of distinct words in the index, after SQLite's integrity check."""
    run = index._connection.execute
    assert run("PRAGMA integrity_check").fetchall() == [("ok",)]
    run("INSERT INTO words (words) VALUES ('integrity-check')")
    return run("SELECT count(*) FROM vocabulary").fetchone()[0]


def test_documents_are_replaced_and_removed(index: Index) -> None:
    assert words_left(index) == 23
    assert index.add([CITIES[0], {"name": "rome", "text": "Rome has seven hills."}]) == 1
    assert names(index, "tiber") == []
    assert names(index, "hills") == ["rome"]
    assert (len(index), index.passages) == (3, 3)
    index.remove("oslo")
    index.remove("paris")
    assert (index.names, words_left(index)) == (["rome"], 4)
    for ask in (index.remove, index.text):
        with pytest.raises(KeyError, match=r"The index has no document 'oslo'\."):
            ask("oslo")


def test_long_documents_are_stored_in_blocks(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(storage, "BLOCK", 7)
    text = " ".join(f"Sentence é{number} is here and nowhere else." for number in range(300))
    with Index.create(tmp_path / "a.index") as index:
        index.add([{"name": "a", "text": text}])
        assert index.text("a") == text
        for number in (0, 150, 299):
            passage = index.search(f"é{number}", k=1)[0]
            assert f" é{number} " in passage.text
            assert text[passage.start : passage.end] == passage.text
        for start, end in ((0, 5), (6, 7), (7, 14), (3, 3), (13, None), (9_999_999, None)):
            assert index.text("a", start, end) == text[start:end]


def test_an_index_is_one_file_and_can_be_read_while_it_is_written(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(writing, "BATCH", 4)
    path = tmp_path / "a.index"
    seen = []

    def texts():
        for number in range(20):
            yield {"name": f"{number}", "text": f"word n{number}"}
            with Index.open(path) as reader:
                seen.append((len(reader), len(reader.search("word", k=50))))

    with Index.create(path, language="en") as index:
        index.add(texts())
        assert len(index) == 20
    assert [file.name for file in tmp_path.iterdir()] == ["a.index"]
    # Readers see whole transactions.
    assert seen[0] == (0, 0)
    assert {count % 2 for count, _ in seen} == {0}
    assert len({count for count, _ in seen}) > 3
    assert all(found == count for count, found in seen)


def test_two_writers_take_turns(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(writing, "BATCH", 2)
    path = tmp_path / "a.index"
    Index.create(path, language="en").close()

    def write(first: int) -> None:
        with Index.open(path) as index:
            index.add({"name": f"{n}", "text": f"word n{n}"} for n in range(first, first + 30))

    threads = [threading.Thread(target=write, args=(first,)) for first in (0, 20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with Index.open(path) as index:
        assert sorted(map(int, index.names)) == list(range(50))
        assert len(index.search("word", k=99)) == 50
        assert words_left(index) == 51


def test_a_writer_waits_for_another_one(tmp_path) -> None:
    path = tmp_path / "a.index"
    Index.create(path, language="en").close()
    other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    with Index.open(path) as index:
        threading.Timer(0.3, other.execute, ("COMMIT",)).start()
        assert index.add(CITIES[:1]) == 1
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(ValueError, match=r"^`timeout` must be a positive number\. Received: time"):
        Index.open(path, timeout=0)
    with Index.open(path, timeout=0.1) as index:
        with pytest.raises(OSError, match=r"^`.*a\.index` is being written by another process"):
            index.add(CITIES)
        other.execute("COMMIT")
        other.close()
        assert index.names == ["paris"]
        assert index.add(CITIES) == 2


def test_a_full_disk_raises_and_loses_nothing(index: Index) -> None:
    index._connection.execute("PRAGMA max_page_count = 40")
    text = " ".join(f"word{number}" for number in range(20_000))
    with pytest.raises(OSError, match=r"^The disk is full, so `.*index` cannot be written\. Earl"):
        index.add([{"name": "long", "text": text}])
    assert names(index, "tiber") == ["rome"]
    assert len(index) == 3
    assert words_left(index) == 23


def test_sqlite_without_fts5_raises(tmp_path, monkeypatch) -> None:
    def create_words(connection, language) -> None:
        raise sqlite3.OperationalError("no such module: fts5")

    monkeypatch.setattr(writing, "create_words", create_words)
    with pytest.raises(ImportError, match=r"^The index needs SQLite with FTS5, which SQLite"):
        Index.create(tmp_path / "a.index", language="en")


def test_bad_documents_raise_and_are_rolled_back(index: Index) -> None:
    new, bad = {"name": "new", "text": "New."}, {"name": "bad", "text": 3}
    frame = pd.DataFrame({"name": ["a"], "text": [None]})
    for entries, error, message in (
        ([new, bad], TypeError, "The document at position 1: `text` of a document must"),
        (frame, TypeError, "The document at position 0: `text` of a document must"),
        ([3], TypeError, "`documents` must hold `Document` objects or mappings. Received a int at"),
        ({"name": "a"}, TypeError, "`documents` must be a list of documents. Received one dict. P"),
        ("folder", TypeError, "`documents` must be a list of documents. Received one str. Put it"),
        ([{"text": "a"}], ValueError, ".* at position 0 must have the keys `name` and `text`. It"),
    ):
        with pytest.raises(error, match=f"^{message}"):
            index.add(entries)
        assert len(index) == 3


def test_data_frames_are_added_and_searched_with(tmp_path) -> None:
    with Index.create(tmp_path / "frame.index") as index:
        assert index.add(pd.DataFrame(CITIES, index=[7, 7, 9])) == 3
        assert [index.text(name) for name in index.names] == [city["text"] for city in CITIES]
        questions = ["Which river is in Italy?", "Where are ferries?", "?"]
        expected = [index.search(question, 2) for question in questions]
        for asked in (questions, pd.Series(questions, index=[3, 1, 1]), np.array(questions)):
            assert index.search(asked, 2) == expected


def test_arguments_of_search_are_checked(index: Index) -> None:
    for k in (0, True, 2.0):
        with pytest.raises(ValueError, match=r"^`k` must be a positive integer\. Received: k="):
            index.search("a", k)
    for question, received in (
        (["a", 3], r"3 \(of type int\) at position 1\.$"),
        ({"a": 1}, r"{'a': 1} \(of type dict\)\.$"),
        (pd.DataFrame({"question": ["a"]}), r"a DataFrame\. Give one of its columns\.$"),
    ):
        message = r"^`question` must be a string or a list of strings\. Received: "
        with pytest.raises(TypeError, match=message + received):
            index.search(question)


WRONG = (None, 3, 0.5, b"oslo", ["oslo"])


def test_names_and_paths_of_another_type_raise(index: Index) -> None:
    for use in (
        index.remove,
        index.text,
        index.visible_text,
        index.pages,
        lambda name: index.boxes(name, 0, 9),
        lambda name: index.draw_page(name, 1),
    ):
        for name in WRONG:
            with pytest.raises(TypeError, match=r"^`name` must be a string\. Received: name="):
                use(name)
    for name in WRONG:
        with pytest.raises(TypeError, match=r"^`folder` must be a path: a string or a `pathlib"):
            index.update(name)
        for use in (Index.create, lambda path: Index.open([path])):
            with pytest.raises(TypeError, match=r"^`path` must be a path: a string or a `pathlib"):
                use(name)
    for name in WRONG[1:]:
        with pytest.raises(TypeError, match=r"^`encoding` must be a string\. Received: encoding="):
            index.update("folder", encoding=name)
        with pytest.raises(ValueError, match=r"^`language` must be a code of two or three letters"):
            Index.create("a.index", language=name)


def test_offsets_and_pages_of_another_type_raise(index: Index) -> None:
    for part in ((None, 3), ("0", 3), (0, b"3"), (0.5, 3), (-1, 3), (0, -1), (0, 2**70)):
        for use in (index.text, index.visible_text, index.boxes):
            with pytest.raises(ValueError, match=r"^`(start|end)` must be a non-negative integer"):
                use("oslo", *part)
    for page in (None, "1", b"1", 1.0, True):
        with pytest.raises(ValueError, match=r"^`page` must be an integer\. Received: page="):
            index.draw_page("oslo", page)
    assert index.draw_page("oslo", 2**70) is None
    assert index.text("oslo", np.int64(0), np.int32(4)) == "Oslo"


def test_a_long_name_is_shortened(index: Index) -> None:
    for use in (index.remove, index.text, index.pages):
        with pytest.raises(KeyError) as error:
            use("oslo" * 250_000)
        assert len(str(error.value)) < 150


def test_a_closed_index_raises(index: Index) -> None:
    index.close()
    for use in (lambda: len(index), lambda: index.search("a"), lambda: index.add(CITIES)):
        with pytest.raises(ValueError, match=r"^`.*cities\.index` is closed\. Open it with"):
            use()


def test_files_that_are_not_an_index_raise(tmp_path) -> None:
    path = tmp_path / "a.index"
    for make in (Index.open, Index.create):
        with pytest.raises(FileNotFoundError, match=r"^There is no index|`path` is in a folder th"):
            make(tmp_path / "none" / "a.index")
    for language in ("english", "E", ""):
        with pytest.raises(ValueError, match=r"^`language` must be a code of two or three letters"):
            Index.create(path, language=language)
    with Index.create(path) as index:
        index.add({"name": f"{n}", "text": f"some words n{n}"} for n in range(300))
    with pytest.raises(FileExistsError, match=r"^`path` exists already: .*`Index\.open`, pass `ex"):
        Index.create(path)
    with Index.create(path, exist_ok=True) as index:
        assert len(index) == 300
    whole = path.read_bytes()
    for raw, message in (
        (b"", "is not an index of keras-qa: it is not an SQLite file"),
        (b"A text. " * 99, "is not an index of keras-qa: it is not an SQLite file"),
        (whole[:-5000], "is damaged: "),
        (whole[:5000], "is damaged: "),
        (whole[:100] + bytes(4000) + whole[4100:], "is damaged: "),
    ):
        path.write_bytes(raw)
        with pytest.raises(ValueError, match=rf"^`{path}` {message}.*\.$"):
            Index.open(path).search("words")
    path.write_bytes(whole)
    for setting, message in (
        ("user_version", r"is of version 9, but this keras-qa reads up to 1\. Inst"),
        ("application_id", r"is not an index of keras-qa: it is another SQLite file"),
    ):
        connection = sqlite3.connect(path)
        connection.execute(f"PRAGMA {setting} = 9")
        connection.close()
        with pytest.raises(ValueError, match=message):
            Index.open(path)


KILLED = """
import os, signal, sys
from small_encoders import Letters
from keras_qa.documents import Index, writing
path, folder, left = sys.argv[1], sys.argv[2], int(sys.argv[3])
writing.ENCODED = 5

def count(statement):
    global left
    left -= 1
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)

with Index.open(path, Letters()) as index:
    index._connection.set_trace_callback(count)
    index.update(folder)
"""


def test_a_killed_update_leaves_whole_documents_and_the_next_one_completes_it(tmp_path) -> None:
    folder = tmp_path / "texts"
    folder.mkdir()
    for number in range(12):
        text = f"word n{number}. " * (number * 20) + "Ferries cross the fjord."
        (folder / f"{number}.txt").write_text(text)
    with Index.create(tmp_path / "whole.index", encoder=Letters()) as whole:
        whole.update(folder)
        expected = [
            (passage.document, passage.start, passage.score)
            for passage in whole.search("fjord n7", k=99)
        ]
        count, words = whole.passages, words_left(whole)
    path = tmp_path / "a.index"
    Index.create(path, encoder=Letters()).close()
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    states = set()
    for moment in (3, 90, 160):
        killed = [sys.executable, "-c", KILLED, path, folder, str(moment)]
        assert subprocess.run(killed, env=environment).returncode == -signal.SIGKILL
        with Index.open(path, Letters()) as index:
            states.add(len(index))
            passages, with_vectors = places(index)
            assert passages == with_vectors
            for name in index.names:
                assert index.text(name) == (folder / name).read_text()
            assert {passage.document for passage in index.search("fjord", k=99)} == set(index.names)
    assert len(states) > 2
    with Index.open(path, Letters()) as index:
        index.update(folder)
        passages, with_vectors = places(index)
        assert passages == with_vectors
        assert (len(passages), words_left(index)) == (count, words)
        found = [
            (passage.document, passage.start, passage.score)
            for passage in index.search("fjord n7", k=99)
        ]
    assert sorted(found) == [
        (document, start, pytest.approx(score)) for document, start, score in sorted(expected)
    ]
    assert {file.name for file in tmp_path.iterdir()} == {"texts", "whole.index", "a.index"}
