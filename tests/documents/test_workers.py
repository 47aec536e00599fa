"""`Index.update` with several processes."""

import multiprocessing
import os
import pathlib
import shutil
import signal
import sqlite3
import subprocess
import sys
from functools import partial

import numpy as np
import pytest
from small_encoders import Letters, places

import keras_qa
from keras_qa.cli import main
from keras_qa.documents import Document, Index, writing

EXPORTED = pathlib.Path(__file__).parents[1] / "golden" / "exported" / "embedder"


class Batches(Letters):
    """Adds the place of a text in its batch and the size of the batch to the counts of letters."""

    def __call__(self, texts):
        places = [(place, len(texts)) for place in range(len(texts))]
        return np.concatenate([super().__call__(texts), places], axis=1)


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "texts"
    made.mkdir()
    for number in range(30):
        text = f"# Part {number}\n\n" + f"The {number}th *Fähre* crosses 2 fjords. " * number * 5
        (made / f"{number:02}.md").write_text(text)
    (made / "bad.txt").write_bytes(b"caf\xe9")
    # The first document is written, and removed with the error.
    (made / "rows.jsonl").write_text('{"text": "One row."}\n{"text": \n')
    return made


def rows(path) -> list[object]:
    """What an index contains. How its words are stored depends on the transactions."""
    with sqlite3.connect(path) as connection:
        tables = connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")
        return [
            (name, connection.execute(f"SELECT * FROM {name}").fetchall())
            for name in sorted({name for (name,) in tables} - {"checksums", "words"})
            if not name.startswith(("words_", "sqlite_stat"))
        ]


def count_files(expected, done: int, total: int) -> None:
    assert (done, total) == (next(expected), 32)


def test_several_processes_make_the_same_index(folder, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(writing, "ENCODED", 16)
    paths = {workers: tmp_path / f"{workers}.index" for workers in (1, 2)}
    encoders = {workers: Batches() for workers in paths}
    made, updated = {}, {}
    for workers, path in paths.items():
        with Index.create(path, encoder=encoders[workers]) as index:
            counts = iter(range(1, 33))
            made[workers] = index.update(
                folder, workers=workers, progress=partial(count_files, counts)
            )
            assert next(counts, None) is None
    assert made[1] == made[2]
    assert (made[2].written, made[2].kept) == (30, 0)
    assert made[2].unreadable["bad.txt"].startswith("it is not UTF-8 at byte 3")
    assert set(made[2].unreadable) == {"bad.txt", "rows.jsonl"}
    assert rows(paths[1]) == rows(paths[2])
    # The other processes encoded all passages in the same batches.
    assert (len(encoders[1].calls), encoders[2].calls) == (12, [])
    (folder / "03.md").write_text("New words.")
    (folder / "04.md").unlink()
    for workers, path in paths.items():
        with Index.open(path, encoders[workers]) as index:
            updated[workers] = index.update(folder, "cp1252", workers=workers)
    assert encoders[2].calls == []
    assert updated[1] == updated[2]
    assert rows(paths[1]) == rows(paths[2])
    with Index.create(tmp_path / "b.index") as index:
        for workers in (0, 1.5, "2"):
            with pytest.raises(
                (TypeError, ValueError),
                match=rf"^`workers` must be a positive integer\. Received: workers={workers!r}\.$",
            ):
                index.update(folder, workers=workers)
        assert len(index) == 0


def test_several_processes_add_vectors_to_an_index(folder, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(writing, "ENCODED", 16)
    encoders = {workers: Batches() for workers in (1, 2)}
    for workers, encoder in encoders.items():
        with Index.create(tmp_path / f"{workers}.index") as index:
            index.update(folder)
        options = {"encoder": encoder, "exist_ok": True, "workers": workers}
        Index.create(tmp_path / f"{workers}.index", **options).close()
    assert rows(tmp_path / "1.index") == rows(tmp_path / "2.index")
    assert (len(encoders[1].calls), encoders[2].calls) == (9, [])


STOPPED = """
import os, signal, sys
from small_encoders import Letters
from keras_qa.documents import Index, writing
path, folder, name = sys.argv[1:]
writing.ENCODED = 8
# A shell starts its background jobs without it.
signal.signal(signal.SIGINT, signal.default_int_handler)

def progress(done, total):
    if done == 22 and name == "SIGKILL":
        os.kill(os.getpid(), signal.SIGKILL)
    if done == 22 and name == "SIGINT":
        # As Ctrl-C in a terminal, which reaches all processes.
        os.killpg(0, signal.SIGINT)

with Index.create(path, language="en", encoder=Letters()) as index:
    try:
        index.update(folder, workers=2, progress=progress)
    except KeyboardInterrupt:
        print("interrupted")
"""


@pytest.mark.parametrize("name", ["SIGKILL", "SIGINT"])
def test_a_stopped_update_ends_its_processes_and_continues(name, folder, tmp_path) -> None:
    path = tmp_path / "a.index"
    # All processes have the pipe of standard output: `run` returns after the last one has ended.
    done = subprocess.run(
        [sys.executable, "-c", STOPPED, path, folder, name],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        start_new_session=True,
        timeout=100,
    )
    if name == "SIGKILL":
        assert (done.returncode, done.stdout) == (-signal.SIGKILL, "")
    else:
        assert (done.returncode, done.stdout, done.stderr) == (0, "interrupted\n", "")
    other = tmp_path / "b.index"
    with Index.open(path, Letters()) as index, Index.create(other, "en", Letters()) as whole:
        assert 0 < len(index) < 22
        passages, with_vectors = places(index)
        assert passages == with_vectors
        index.update(folder)
        whole.update(folder)
        passages, with_vectors = places(index)
        assert passages == with_vectors
        results = [
            [(hit.document, hit.start, hit.score) for hit in each.search("fjords", k=999)]
            for each in (index, whole)
        ]
    assert len(results[0]) > 100
    assert sorted(results[0]) == sorted(results[1])


# Processes read the fifth file, or encode the passages at the end.
@pytest.mark.parametrize(("last", "encoder"), [(5, None), (32, Letters())])
def test_a_process_that_was_killed_is_an_error_and_the_next_update_continues(
    last, encoder, folder, tmp_path
) -> None:
    def kill(done: int, total: int) -> None:
        if done == last:
            for process in multiprocessing.active_children():
                process.kill()

    path = tmp_path / "a.index"
    with Index.create(path, "en", encoder) as index:
        with pytest.raises(
            OSError,
            match=r"^One of 2 processes ended: it was killed, or memory was short, "
            r"or the script .* Try again, or with `workers=1`\.$",
        ):
            index.update(folder, workers=2, progress=kill)
        assert len(index) < 30
        assert multiprocessing.active_children() == []
        assert index.update(folder, workers=2).kept < 30
        assert len(index) == 30


def test_the_command_reads_and_encodes_in_several_processes(folder, tmp_path, capsys) -> None:
    command = ["index", str(folder), "--embed", str(EXPORTED), "--output"]
    for workers in ("1", "2"):
        assert main([*command, str(tmp_path / workers), "--workers", workers]) == 0
    assert ": 30 documents, 137 passages with vectors. " in capsys.readouterr().out
    assert rows(tmp_path / "1") == rows(tmp_path / "2")


def refuse() -> None:
    raise ModuleNotFoundError("No module named 'letters'")


class Refusing(Letters):
    def __reduce__(self):
        return refuse, ()


def test_an_encoder_that_other_processes_cannot_open(folder, tmp_path) -> None:
    shutil.copytree(EXPORTED, tmp_path / "embedder")
    removed = keras_qa.load(tmp_path / "embedder")
    shutil.rmtree(tmp_path / "embedder")

    class Local(Letters):
        pass

    for number, (encoder, kind, message) in enumerate(
        (
            (removed, FileNotFoundError, r"^There is no folder `.*embedder`\.$"),
            (Refusing(), ModuleNotFoundError, r"^No module named 'letters'$"),
            (
                Local(),
                TypeError,
                r"^`workers` sends the encoder to other processes, but pickle cannot: .*Local.*\. "
                r"Define its class at the top of a module, or leave `workers` out\.$",
            ),
        )
    ):
        with Index.create(tmp_path / f"{number}.index", encoder=encoder) as index:
            with pytest.raises(kind, match=message) as raised:
                index.update(folder, workers=2)
            assert len(str(raised.value)) <= 300
            assert (len(index), index.passages) == (0, 0)
            assert multiprocessing.active_children() == []


def test_a_passage_that_is_removed_before_its_vector_is_known(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(writing, "ENCODED", 1)
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "a.jsonl").write_text('{"name": "a", "text": "First."}\n')
    # This file has a document of the name of one in the first.
    with Index.create(tmp_path / "a.index", "en", Letters()) as index:
        index.update(tmp_path / "texts")
        index.add([Document("b.jsonl#a", "Old.")])
        (tmp_path / "texts" / "b.jsonl").write_text('{"name": "a", "text": "Second."}\n{"text": 1}')
        assert set(index.update(tmp_path / "texts", workers=2).unreadable) == {"b.jsonl"}
        assert index.names == ["a.jsonl#a"]
        assert places(index) == ([1], [1])
