"""Commands of `keras-qa` that fail, and the results of others as JSON."""

from __future__ import annotations

import json
import pathlib
import re
from typing import Any

import pytest

from keras_qa.cli import main

DOCS = pathlib.Path(__file__).parents[1] / "docs" / "command-line.md"


def error_line(capsys: pytest.CaptureFixture, *arguments: object) -> str:
    """Runs a command that must fail, and returns what it says: one line on standard error."""
    capsys.readouterr()
    try:
        code = main([str(argument) for argument in arguments])
    except SystemExit as end:
        code = end.code
    printed, errors = capsys.readouterr()
    assert code == 2
    assert "error" not in printed
    assert errors.startswith("keras-qa")
    assert errors.count("\n") == 1
    return errors


def json_results(capsys: pytest.CaptureFixture, *arguments: object, code: int = 0) -> list[Any]:
    """Runs a command with `--json`, checks the shape of its object, and returns its results.

    `docs/command-line.md` has the fields of each command.
    """
    capsys.readouterr()
    assert main([*map(str, arguments), "--json"]) == code
    printed = capsys.readouterr().out
    assert printed.count("\n") == 1
    found = json.loads(printed)
    assert [*found] == ["command", "results"]
    assert found["command"] == arguments[0]
    check_fields(found)
    return found["results"]


def check_fields(found: dict[str, Any]) -> None:
    """Checks that the results of an object have the fields that the docs list for its command."""
    page = DOCS.read_text(encoding="utf-8")
    row = rf"^\| `{found['command']}\b.*? \| .*? \| (.*?) \|$"
    fields = [re.findall(r"`(\w+)`", cell) for cell in re.findall(row, page, re.MULTILINE)]
    assert found["results"]
    for result in found["results"]:
        assert sorted(result) in [sorted(names) for names in fields]
