"""Runs code on each backend, a process each: Keras takes one backend a process."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from interpreters import BACKENDS

TESTS = pathlib.Path(__file__).parent.parent


@pytest.fixture(scope="session")
def on_each() -> Callable[..., None]:
    """Calls functions of this folder in one process for each backend, two at a time."""

    def call(*functions: str, folder: pathlib.Path) -> None:
        def run(backend: str) -> None:
            done = subprocess.run(
                [sys.executable, str(TESTS / "parity" / "run.py"), *functions],
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

    return call


@pytest.fixture(scope="session")
def folder(on_each, tmp_path_factory) -> pathlib.Path:
    """Where each backend has left what it saved, and what it found in the files of all.

    To import a backend and to build its first model takes as long as some of these functions, so
    all are called in two processes.
    """
    folder = tmp_path_factory.mktemp("backends")
    on_each("work.save", "steps.start", folder=folder)
    on_each("work.ask", "steps.train", "golden.ask", folder=folder)
    return folder
