"""`Index.update` with several processes."""

import multiprocessing
import os
import signal
import sqlite3
import subprocess
import sys
from functools import partial

import pytest
from small_encoders import Letters

from keras_qa.cli import main
from keras_qa.documents import Index


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


def rows(path) -> list[str]:
    with sqlite3.connect(path) as connection:
        return list(connection.iterdump())


def count_files(expected, done: int, total: int) -> None:
    assert (done, total) == (next(expected), 32)


def test_several_processes_make_the_same_index(folder, tmp_path) -> None:
    paths = {workers: tmp_path / f"{workers}.index" for workers in (1, 2)}
    made, updated = {}, {}
    for workers, path in paths.items():
        with Index.create(path, encoder=Letters()) as index:
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
    (folder / "03.md").write_text("New words.")
    (folder / "04.md").unlink()
    for workers, path in paths.items():
        with Index.open(path, Letters()) as index:
            updated[workers] = index.update(folder, "cp1252", workers=workers)
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


STOPPED = """
import os, signal, sys
from keras_qa.documents import Index
path, folder, name = sys.argv[1:]
# A shell starts its background jobs without it.
signal.signal(signal.SIGINT, signal.default_int_handler)

def progress(done, total):
    if done == 5 and name == "SIGKILL":
        os.kill(os.getpid(), signal.SIGKILL)
    if done == 5 and name == "SIGINT":
        # As Ctrl-C in a terminal, which reaches all processes.
        os.killpg(0, signal.SIGINT)

with Index.create(path, language="en") as index:
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
    with Index.open(path) as index, Index.create(tmp_path / "b.index", "en") as whole:
        assert len(index) < 30
        index.update(folder, workers=2)
        whole.update(folder)
        results = [
            [(hit.document, hit.start, hit.score) for hit in each.search("fjords", k=999)]
            for each in (index, whole)
        ]
    assert len(results[0]) > 100
    assert sorted(results[0]) == sorted(results[1])


def test_a_process_that_was_killed_is_an_error_and_the_next_update_continues(
    folder, tmp_path, capsys
) -> None:
    def kill(done: int, total: int) -> None:
        if done == 5:
            for process in multiprocessing.active_children():
                process.kill()

    path = tmp_path / "a.index"
    with Index.create(path, language="en") as index:
        with pytest.raises(
            OSError,
            match=r"^One of 2 processes that read files ended: it was killed, or memory was short, "
            r"or the script .* Try again, or with `workers=1`\.$",
        ):
            index.update(folder, workers=2, progress=kill)
        assert len(index) < 30
    assert multiprocessing.active_children() == []
    assert main(["index", str(folder), "--output", str(path), "--workers", "2"]) == 0
    assert f"{path}: 30 documents, " in capsys.readouterr().out
