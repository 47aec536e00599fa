"""Runs code on each backend, a process each: Keras takes one backend a process."""

import os
import pathlib
import subprocess
import sys

import pytest

BACKENDS = ("tensorflow", "torch", "jax")
SCRIPT = pathlib.Path(__file__).parent / "work.py"


@pytest.fixture
def work(tmp_path):
    """Calls `work.py` with a command on a backend, in one folder for all."""

    def call(backend: str, *arguments: str) -> None:
        environment = {**os.environ, "KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "2"}
        done = subprocess.run(
            [sys.executable, str(SCRIPT), *arguments],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr

    return call
