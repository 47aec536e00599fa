"""Completion in real shells: zsh and fish. `tests/cli/test_completion.py` has bash."""

import os
import pathlib
import pty
import re
import select
import subprocess

import pytest
from command_line import json_results

from keras_qa.cli import COMMANDS

CASES = [
    ("keras-qa ver", "verify"),
    ("keras-qa evaluate --rank", "--ranker"),
    ("keras-qa completion fi", "fish"),
    ("keras-qa ask man", "manual.pdf"),
    ("keras-qa ask --rea", "--reader"),
]


@pytest.fixture
def folder(tmp_path) -> pathlib.Path:
    (tmp_path / "manual.pdf").touch()
    return tmp_path


def script(capsys, shell: str, path: pathlib.Path) -> pathlib.Path:
    (found,) = json_results(capsys, "completion", shell)
    path.write_text(found["script"])
    return path


@pytest.mark.parametrize(("typed", "completed"), [*CASES, ("keras-qa ", [*COMMANDS])])
def test_fish(typed: str, completed: str | list[str], folder, capsys) -> None:
    path = script(capsys, "fish", folder / "keras-qa.fish")
    command = ["fish", "--no-config", "-c", f"source {path}; complete -C '{typed}'"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.stderr == ""
    shown = [line.split("\t")[0] for line in done.stdout.splitlines()]
    assert shown == ([completed] if isinstance(completed, str) else sorted(completed))


@pytest.mark.parametrize(("typed", "completed"), CASES)
def test_zsh(typed: str, completed: str, folder, capsys) -> None:
    (folder / "functions").mkdir()
    script(capsys, "zsh", folder / "functions" / "_keras-qa")
    start = "PS1=; fpath=($PWD/functions $fpath); autoload -Uz compinit; compinit -D\n"
    start += 'keras-qa() { echo "[$*]" }; echo ready\n'
    main, other = pty.openpty()
    with subprocess.Popen(
        ["zsh", "-f", "-i"],
        cwd=folder,
        stdin=other,
        stdout=other,
        stderr=other,
        env={**os.environ, "TERM": "dumb"},
        start_new_session=True,
    ) as shell:
        try:
            os.write(main, start.encode())
            read_until(main, r"\nready")
            os.write(main, f"{typed}\t\n".encode())
            shown = read_until(main, r"\n\[.*\]\n")
        finally:
            shell.kill()
            os.close(other)
            os.close(main)
    words = [*typed.split()[1:-1], completed]
    assert f"\n[{' '.join(words)}]\n" in shown


def read_until(terminal: int, pattern: str) -> str:
    shown = ""
    while not re.search(pattern, shown):
        assert select.select([terminal], [], [], 30)[0], shown
        shown += os.read(terminal, 4096).decode().replace("\r", "")
    return shown
