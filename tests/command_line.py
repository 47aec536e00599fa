"""Commands of `keras-qa` that fail."""

from __future__ import annotations

import pytest

from keras_qa.cli import main


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
