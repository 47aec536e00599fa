"""Locks of paths between processes."""

import subprocess
import sys

import pytest

from keras_qa.data.sqlite import lock

HOLD = """
import sys
from keras_qa.data.sqlite import lock
with lock(sys.argv[1]):
    print(flush=True)
    sys.stdin.read()
"""


def test_a_lock_excludes_others_until_its_process_ends(tmp_path) -> None:
    path = tmp_path / "a.index"
    command = [sys.executable, "-c", HOLD, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout.readline()
        with pytest.raises(OSError, match=r"^Another process writes to `.*a.index`. Wait for its"):
            lock(path).__enter__()
        (tmp_path / "link.index").symlink_to(path)
        with pytest.raises(OSError, match=r"^Another process writes to `.*link.index`. Wait for"):
            lock(tmp_path / "link.index").__enter__()
        (tmp_path / "link.index").unlink()
        with lock(tmp_path / "b.index"):
            pass
        process.kill()
    # What the process has left is no lock.
    assert [file.name for file in tmp_path.iterdir()] == [".a.index.lock"]
    with lock(path):
        pass
    assert not list(tmp_path.iterdir())


def test_a_lock_waits_for_another(tmp_path) -> None:
    command = [sys.executable, "-c", HOLD, str(tmp_path / "a.index")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout.readline()
        process.stdin.close()
        with lock(tmp_path / "a.index", timeout=60):
            pass
        assert process.wait(60) == 0


def test_a_path_that_cannot_be_locked(tmp_path) -> None:
    with pytest.raises(FileNotFoundError, match=r"^`path` is in a folder that does not exist: "):
        lock(tmp_path / "none" / "a.index").__enter__()
    (tmp_path / ".b.index.lock").mkdir()
    with pytest.raises(OSError, match=r"^`.*\.b\.index\.lock`: unable to open database file\.$"):
        lock(tmp_path / "b.index").__enter__()
    (tmp_path / ".a.index.lock").write_bytes(b"A text, and no lock." * 99)
    with pytest.raises(OSError, match=r"^`.*\.a\.index\.lock`: file is not a database\.$"):
        lock(tmp_path / "a.index").__enter__()
