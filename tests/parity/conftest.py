"""Runs code on each backend, in a process each: a process has one backend."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
from interpreters import BACKENDS

TESTS = pathlib.Path(__file__).parent.parent


@pytest.fixture(scope="session")
def folder(tmp_path_factory) -> pathlib.Path:
    """The files that each backend has saved, and its results on the files of all backends.

    Importing a backend and building its first model take as long as some functions of `work.py`,
    so each backend has two processes.
    """
    folder = tmp_path_factory.mktemp("backends")
    begin = ["save", "save_head", "start"]
    end = ["ask", "predict_heads", "train", "ask_golden", "export_graphs"]
    for functions in (begin, end):

        def run(backend: str, functions: list[str] = functions) -> None:
            done = subprocess.run(
                [sys.executable, str(TESTS / "parity" / "work.py"), *functions],
                cwd=folder,
                env={
                    **os.environ,
                    "KERAS_BACKEND": backend,
                    "PYTHONPATH": os.pathsep.join([str(TESTS), os.environ.get("PYTHONPATH", "")]),
                    "OMP_NUM_THREADS": "1",
                },
                capture_output=True,
                text=True,
            )
            assert done.returncode == 0, done.stderr

        with ThreadPoolExecutor(2) as pool:
            list(pool.map(run, BACKENDS))
    return folder
