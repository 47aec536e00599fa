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


def run(script: str, *arguments: str, backend: str, folder: pathlib.Path) -> None:
    """Runs a script of this folder on a backend."""
    done = subprocess.run(
        [sys.executable, str(TESTS / "parity" / script), *arguments],
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


@pytest.fixture(scope="session")
def on_one() -> Callable[..., None]:
    """Calls `run`."""
    return run


@pytest.fixture(scope="session")
def on_each() -> Callable[..., None]:
    """Calls `run` for each backend, which is its last argument, two at a time."""

    def call(script: str, command: str, *arguments: str, folder: pathlib.Path) -> None:
        with ThreadPoolExecutor(2) as pool:
            done = [
                pool.submit(
                    run, script, command, backend, *arguments, backend=backend, folder=folder
                )
                for backend in BACKENDS
            ]
            for one in done:
                one.result()

    return call
