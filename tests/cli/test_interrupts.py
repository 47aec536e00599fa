"""Exit codes of the command: errors in one line, Ctrl-C, closed output."""

import contextlib
import io
import os
import signal
import subprocess
import sys
import time

import pytest

from keras_qa import cli
from keras_qa.cli import interrupts, output, quickstart


@pytest.fixture
def ends(monkeypatch):
    """Runs a function as the quickstart command, as if a backend were installed."""
    monkeypatch.setattr(cli, "_import_backend", lambda: None)
    monkeypatch.setattr(cli, "_progress_bars_on_terminals_only", contextlib.nullcontext)

    def run(function) -> int:
        monkeypatch.setattr(quickstart, "run", lambda options, results: function())
        return cli.main(["quickstart"])

    return run


@pytest.fixture
def default_handler():
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def throw(error: BaseException):
    def function() -> None:
        raise error

    return function


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ValueError("`text` is\n  wrong."), "error: `text` is wrong."),
        (TypeError("\x1b[31mred"), "error: �[31mred"),
        (OSError(28, "No space left on device"), "error: No space left on device."),
        (FileNotFoundError(2, "No such file", "a.txt"), "error: 'a.txt': No such file."),
        (ImportError("pyarrow is missing."), "error: pyarrow is missing."),
        (MemoryError(), "error: MemoryError"),
    ],
)
def test_errors_are_one_plain_line(ends, error, line: str, capsys) -> None:
    assert ends(throw(error)) == 2
    assert capsys.readouterr() == ("", f"keras-qa: {line}\n")


def test_other_exceptions_are_not_caught(ends) -> None:
    with pytest.raises(ZeroDivisionError):
        ends(throw(ZeroDivisionError()))


def test_ctrl_c_message(ends, capsys, monkeypatch) -> None:
    assert ends(throw(KeyboardInterrupt())) == 130
    assert capsys.readouterr() == ("", "keras-qa: interrupted.\n")
    assert ends(throw(KeyboardInterrupt("Add --resume."))) == 130
    assert capsys.readouterr() == ("", "keras-qa: interrupted. Add --resume.\n")
    # On a terminal the message starts a new line.
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert ends(throw(KeyboardInterrupt())) == 130
    assert capsys.readouterr() == ("\n", "keras-qa: interrupted.\n")


@pytest.mark.usefixtures("default_handler")
def test_a_lost_ctrl_c_is_raised_again(ends, capsys, monkeypatch) -> None:
    monkeypatch.setattr(interrupts, "REPEAT_AFTER", 0.0)
    lost = []

    def work() -> None:
        while len(lost) < 3:
            try:
                if not lost:
                    signal.raise_signal(signal.SIGINT)
                time.sleep(60)
            except KeyboardInterrupt:
                lost.append(signal.getsignal(signal.SIGINT))
        time.sleep(60)

    assert ends(work) == 130
    assert len(lost) == 3
    assert capsys.readouterr().err == "keras-qa: interrupted.\n"
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_other_handlers_of_ctrl_c_are_left_alone(ends) -> None:
    heard = []
    before = signal.signal(signal.SIGINT, lambda *_: heard.append(signal.getsignal(signal.SIGINT)))
    mine = signal.getsignal(signal.SIGINT)
    try:
        assert ends(lambda: signal.raise_signal(signal.SIGINT)) == 0
    finally:
        signal.signal(signal.SIGINT, before)
    assert heard == [mine]


def test_the_process_ends_at_once_after_ctrl_c() -> None:
    # Exit handlers do not run, and the printed output is complete.
    code = (
        "import atexit\n"
        "from keras_qa import cli\n"
        "def run(options, results):\n"
        "    cli.output.say('seen')\n"
        "    raise KeyboardInterrupt\n"
        "cli.indexing.run = run\n"
        "atexit.register(print, 'late')\n"
        "cli.command()"
    )
    command = [sys.executable, "-c", code, "index", ".", "--output=a.index"]
    # TensorFlow would log to the terminal.
    alone = {**os.environ, "KERAS_BACKEND": "none"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=alone)
    assert (done.returncode, done.stdout) == (130, "seen\n")
    assert done.stderr == "keras-qa: interrupted.\n"


def closed() -> io.TextIOWrapper:
    """The writing end of a pipe whose reading end is closed."""
    reading, writing = os.pipe()
    os.close(reading)
    return os.fdopen(writing, "w")


@pytest.mark.parametrize("write", [output.say, lambda text: sys.stdout.write(text)])
def test_closed_output(ends, write, capsys, monkeypatch) -> None:
    with closed() as stream:
        monkeypatch.setattr(sys, "stdout", stream)
        assert ends(lambda: write("A part of a line.")) == 1
        # The unwritten output has been discarded, so that flush succeeds.
        stream.flush()
        stream.write("The help.")
        with pytest.raises(SystemExit) as end:
            cli.main(["--help"])
        assert end.value.code == 0
    assert capsys.readouterr().err == ""


def test_closed_standard_error(ends, monkeypatch) -> None:
    with closed() as stream:
        monkeypatch.setattr(sys, "stderr", stream)
        assert ends(throw(ValueError("wrong"))) == 2
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def test_streams_that_are_none(ends, monkeypatch, capsys) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    assert ends(lambda: output.say("A line.")) == 0
    monkeypatch.setattr(sys, "stderr", None)
    assert ends(throw(ValueError("wrong"))) == 2
    assert capsys.readouterr() == ("", "")


def test_characters_missing_in_the_output_encoding(ends, monkeypatch) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="cp1252"))
    assert ends(lambda: output.say("«naïve» 玛丽 \x1b")) == 0
    assert raw.getvalue().decode("cp1252") == "«naïve» ?? ?\n"
