"""Runs code in new Python processes, optionally without some of the installed packages."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

BACKENDS = ("tensorflow", "torch", "jax")
# Keras imports them where they are installed, which takes a third of the time of its import.
HELPERS_OF_KERAS = ("matplotlib", "pandas", "sklearn")

# Hides installed packages.
HIDE = """
import sys
class Hide:
    def find_spec(self, name, path=None, target=None):
        if name in {hidden!r}:
            raise ModuleNotFoundError(name)
import importlib.util
find = importlib.util.find_spec
importlib.util.find_spec = lambda name, *rest: None if name in {hidden!r} else find(name, *rest)
sys.meta_path.insert(0, Hide())
"""


def python(code: str, *arguments: str, hidden: tuple[str, ...] = (), **environment: str):
    variables = {key: value for key, value in os.environ.items() if key != "KERAS_BACKEND"}
    return subprocess.run(
        [sys.executable, "-c", HIDE.format(hidden=hidden) + code, *arguments],
        capture_output=True,
        text=True,
        env={**variables, **environment},
    )


@contextlib.contextmanager
def start(command: list[Any], **options: Any) -> Iterator[subprocess.Popen]:
    """Starts a process for a block. `Popen` alone waits for ever if an assertion in it fails."""
    with subprocess.Popen(command, **options) as process:
        try:
            yield process
        finally:
            process.kill()


def last_line(done) -> str:
    assert done.returncode != 0
    return done.stderr.strip().splitlines()[-1]
