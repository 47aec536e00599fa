"""`uvx` runs the command from the wheel, as `docs/command-line.md` shows it."""

import os
import pathlib
import re
import shlex
import subprocess

import keras_qa

ROOT = pathlib.Path(__file__).parents[2]


def test_the_docs_ask_by_uvx(wheel, tmp_path) -> None:
    page = (ROOT / "docs" / "command-line.md").read_text("utf-8")
    (shown,) = re.findall(r"^uvx (?:.*\\\n)*.*$", page, re.MULTILINE)
    uvx, source, path, *command = shlex.split(shown.replace("\\\n", " "))
    assert (uvx, source) == ("uvx", "--from")
    assert path == f"./dist/{wheel.name}[onnx]"
    (tmp_path / "handbook").mkdir()
    (tmp_path / "handbook" / "lamp.txt").write_text("The warranty lasts two years.")
    (tmp_path / "reader-onnx").symlink_to(ROOT / "tests" / "golden" / "exported" / "reader")
    (tmp_path / "dist").symlink_to(wheel.parent)

    def run(*words: str) -> str:
        variables = {k: v for k, v in os.environ.items() if not k.startswith(("KERAS", "PYTHON"))}
        options = {"cwd": tmp_path, "env": variables, "capture_output": True, "text": True}
        done = subprocess.run(["uvx", "--from", path, "keras-qa", *words], **options)
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert run("--version") == f"keras-qa {keras_qa.__version__}\n"
    assert command[0] == "keras-qa"
    assert "lamp.txt:1" in run(*command[1:], "--no-answer", "no")
