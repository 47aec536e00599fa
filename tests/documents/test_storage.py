"""Checksums of an index: damage is detected before anything is returned. Golden indexes."""

import json
import pathlib
import random
import shutil
import sqlite3
import warnings

import pytest
from small_encoders import Letters

from keras_qa.documents import Document, Index, writing

TEXTS = [
    Document(
        f"d{n}.txt",
        f"word n{n}. River {'fjord' if n % 3 else 'lake'} number{n * 7 % 11} is here.\n"
        * (1 + n % 7)
        + "Größe 東京 end.",
        (0, 9) if n % 2 else (),
    )
    for n in range(20)
]
GOLDEN = pathlib.Path(__file__).parent.parent / "golden"
SEARCHES = ["How long is the warranty?", "send back", "zebra"]
QUESTIONS = ["fjord n7", "lake number3", "n12 word river", "東京 größe", "end of n3"]


def make(path: pathlib.Path, encoder: Letters | None) -> pathlib.Path:
    with Index.create(path, language="en", encoder=encoder) as index:
        index.add(TEXTS)
    return path


@pytest.fixture
def path(tmp_path):
    return make(tmp_path / "a.index", Letters())


def answers(path: pathlib.Path, encoder: Letters | None):
    """Everything that can be read from an index."""
    with Index.open(path, encoder) as index:
        found = index.search(QUESTIONS, k=4)
        return found, index.names, [index.text(name) for name in index.names]


def change(path: pathlib.Path, statement: str, *values) -> None:
    connection = sqlite3.connect(path)
    assert connection.execute(statement, values).rowcount == 1
    connection.commit()
    connection.close()


@pytest.mark.parametrize("encoder", [None, Letters()], ids=["words", "vectors"])
def test_a_flipped_bit_raises_or_changes_nothing(tmp_path, encoder) -> None:
    path = make(tmp_path / "a.index", encoder)
    expected = answers(path, encoder)
    whole = path.read_bytes()
    # Half of the bits are in the schema and the settings.
    ends = (8192, len(whole))
    damaged = path.with_name("damaged.index")
    found = 0
    for seed in range(80):
        rng = random.Random(seed)
        raw = bytearray(whole)
        raw[rng.randrange(ends[seed % 2])] ^= 1 << rng.randrange(8)
        damaged.write_bytes(raw)
        try:
            with warnings.catch_warnings():
                # A flipped version causes a warning.
                warnings.simplefilter("ignore")
                assert answers(damaged, encoder) == expected, seed
        except ValueError as error:
            kind, message = type(error), str(error)
            assert kind is ValueError, seed
            assert message.startswith(f"`{damaged}` "), (seed, message)
            assert len(message.splitlines()) == 1, (seed, message)
            assert len(message) <= 300, (seed, message)
            found += 1
    assert found > 10


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE texts SET text = x'ff' WHERE document = 8",
        "DELETE FROM texts WHERE document = 8",
        "UPDATE texts SET text = 3 WHERE document = 8",
        "UPDATE documents SET name = x'ff' WHERE id = 8",
        "UPDATE documents SET pages = x'ff' WHERE id = 8",
        "UPDATE passages SET start = 1 WHERE id = 8",
        "DELETE FROM passages WHERE id = 8",
        "UPDATE vectors SET vector = zeroblob(52) WHERE passage = 8",
        "UPDATE words_docsize SET sz = x'01' WHERE id = 8",
        "UPDATE settings SET value = 'und' WHERE name = 'language'",
        "UPDATE texts SET block = 9223372036854775807 WHERE document = 8",
    ],
)
def test_damage_is_named(path, statement: str) -> None:
    message = "its checksum does not match its contents"
    if "texts" in statement:
        message = "the checksum of 'd7.txt' does not match its text"
    if "block" in statement:
        message = "the text of 'd7.txt' is in wrong blocks"
    change(path, statement)
    for use in (
        lambda index: index.search("fjord n7", k=20),
        lambda index: index.text("d7.txt"),
        # A damaged index does not get a new checksum.
        lambda index: index.add([Document("d7.txt", "New.")]),
        lambda index: index.remove("d7.txt"),
    ):
        with (
            Index.open(path, Letters()) as index,
            pytest.raises(ValueError, match=rf"^`{path}` is damaged: {message}. Delete it, and"),
        ):
            use(index)


@pytest.mark.parametrize("column", ["id = 5", "name = x'62'", "hash = NULL"])
def test_damage_of_the_files_that_an_index_follows_is_named(tmp_path, column: str) -> None:
    path, file = tmp_path / "a.index", tmp_path / "a.txt"
    file.write_text("A file.")
    with Index.create(path) as index:
        index.update(file)
    change(path, f"UPDATE files SET {column}")
    for use in (lambda index: index.search("file"), lambda index: index.update(file)):
        with Index.open(path) as index, pytest.raises(ValueError, match="its checksum does not"):
            use(index)


ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n"


@pytest.mark.parametrize(
    ("statement", "foreign"),
    [
        (f"DROP TABLE passages; CREATE VIEW passages AS {ENDLESS}", "view 'passages'"),
        (f"CREATE VIEW other AS {ENDLESS}", "view 'other'"),
        (f"CREATE TRIGGER t BEFORE INSERT ON texts BEGIN {ENDLESS}; END", "trigger 't'"),
        ("CREATE TABLE other (a)", "table 'other'"),
        ("ALTER TABLE files ADD COLUMN a AS (zeroblob(1000000000))", "table 'files'"),
        ("CREATE INDEX i ON files (zeroblob(id))", "index 'i'"),
    ],
)
def test_objects_that_are_not_those_of_an_index_raise(path, statement: str, foreign: str) -> None:
    """A search or an update of such an index would not end."""
    connection = sqlite3.connect(path)
    connection.executescript(statement)
    connection.close()
    message = f"^`{path}` is damaged: its {foreign} is not that of an index. Delete it, and make"
    for paths in (path, [path, path]):
        with pytest.raises(ValueError, match=message):
            Index.open(paths, Letters())


def test_texts_in_blocks_of_other_sizes_are_named(path) -> None:
    with Index.open(path, Letters()) as index:
        index.add([Document("long", "One sentence. " * 3_000)])
        number = len(index)
    # The text stays the same, and so does its checksum.
    connection = sqlite3.connect(path)
    with connection:
        (first,), (second,), _ = connection.execute(
            "SELECT text FROM texts WHERE document = ? ORDER BY block", (number,)
        )
        for block, text in enumerate((first + second[:9], second[9:])):
            connection.execute(
                "UPDATE texts SET text = ? WHERE document = ? AND block = ?", (text, number, block)
            )
    connection.close()
    with Index.open(path) as index, pytest.raises(ValueError, match="'long' is in wrong blocks"):
        index.text("long")


def test_other_texts_stay_readable_beside_a_damaged_one(path) -> None:
    with Index.open(path, Letters()) as index:
        expected = index.search(QUESTIONS[1:2], k=4)
    change(path, "UPDATE texts SET text = x'ff' WHERE document = 8")
    with Index.open(path, Letters()) as index:
        assert index.search(QUESTIONS[1:2], k=4) == expected
        assert index.text("d6.txt") == TEXTS[6].text
        assert len(index.names) == 20


def test_each_change_writes_a_checksum_and_others_can_read_meanwhile(path, monkeypatch) -> None:
    monkeypatch.setattr(writing, "BATCH", 1)
    with Index.open(path, Letters()) as reader, Index.open(path, Letters()) as index:

        def documents():
            for n in range(3):
                yield Document(f"new{n}", f"Newest word n{n}.")
                # There is no checksum until the change is complete.
                assert len(reader.search("newest", k=30)) == 21 + n

        for _ in range(2):
            index.add(documents())
            for n in range(3):
                index.remove(f"new{n}")
            assert len(reader.search("newest", k=30)) == len(index.search("newest", k=30)) == 20
    assert len(answers(path, Letters())[1]) == 20
    change(path, "UPDATE settings SET value = 'und' WHERE name = 'language'")
    with pytest.raises(ValueError, match="its checksum does not match its contents"):
        answers(path, Letters())


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        # Invalid UTF-8 raises no `UnicodeDecodeError`.
        ("UPDATE passages SET heading = x'ff' WHERE id = 8", "a text in it is not UTF-8"),
        ("UPDATE vectors SET vector = x'00' WHERE passage = 8", "a vector has another width"),
        ("UPDATE vectors SET vector = 1.5 WHERE passage = 8", "a vector has another width"),
        ("UPDATE texts SET text = x'ff' WHERE document = 8", "the checksum of 'd7.txt' does not"),
    ],
)
def test_damage_after_an_interrupted_write_is_named(path, statement, message) -> None:
    """The index has no checksum for searches then."""
    change(path, statement)
    connection = sqlite3.connect(path)
    with connection:
        connection.execute("DELETE FROM checksums")
    connection.close()
    with pytest.raises(ValueError, match=f"^`{path}` is damaged: {message}"):
        answers(path, Letters())


@pytest.mark.parametrize(("name", "encoder"), [("words", None), ("vectors", Letters())])
def test_a_golden_index_returns_the_same_passages(tmp_path, name: str, encoder) -> None:
    expected = json.loads((GOLDEN / f"{name}.json").read_text(encoding="utf-8"))
    # A copy, because the test writes to it.
    path = shutil.copy(GOLDEN / f"{name}.index", tmp_path)
    with Index.open(path, encoder=encoder) as index:
        found = index.search(SEARCHES, k=3)
        assert {name: index.text(name) for name in index.names} == expected["texts"]
        assert index.add([{"name": "new", "text": "A zebra."}]) == 1
        assert [passage.document for passage in index.search("zebra", k=1)] == ["new"]
    for passages, before in zip(found, expected["hits"], strict=True):
        assert [[passage.document, passage.start, passage.text] for passage in passages] == [
            one[:3] for one in before
        ]
        assert [passage.score for passage in passages] == pytest.approx([one[3] for one in before])
