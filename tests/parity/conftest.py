"""Runs code on each backend, in a process each: a process has one backend."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys

import pytest
from interpreters import BACKENDS

TESTS = pathlib.Path(__file__).parent.parent
BEGIN = ["save", "save_head", "start"]
END = ["ask", "predict_heads", "train", "ask_golden", "export_graphs"]


def begin(backend: str, folder: pathlib.Path) -> subprocess.Popen[str]:
    paths = [str(TESTS), os.environ.get("PYTHONPATH", "")]
    environment = {"KERAS_BACKEND": backend, "OMP_NUM_THREADS": "1"}
    with (folder / f"{backend}.errors").open("w") as errors:
        return subprocess.Popen(
            [sys.executable, str(TESTS / "parity" / "process.py"), *BEGIN, "wait", *END],
            cwd=folder,
            env={**os.environ, **environment, "PYTHONPATH": os.pathsep.join(paths)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )


@pytest.fixture(scope="session")
def folder(tmp_path_factory) -> pathlib.Path:
    """The files that each backend has saved, and its results on the files of all backends."""
    folder = tmp_path_factory.mktemp("backends")
    processes = {backend: begin(backend, folder) for backend in BACKENDS}
    try:
        for backend, process in processes.items():
            assert "saved\n" in process.stdout, (folder / f"{backend}.errors").read_text()
        for process in processes.values():
            process.stdin.write("go on\n")
            process.stdin.flush()
        for backend, process in processes.items():
            process.communicate()
            assert process.returncode == 0, (folder / f"{backend}.errors").read_text()
    finally:
        for process in processes.values():
            process.kill()
            process.communicate()
    return folder
