"""Progress lines on a terminal and in a file, and text without control characters."""

import sys
import types

import pytest

from keras_qa import _terminal as terminal
from keras_qa._terminal import Bar, on_terminal, plain


@pytest.fixture
def clock(monkeypatch) -> types.SimpleNamespace:
    """The clock of `terminal`, which tests set."""
    clock = types.SimpleNamespace(now=100.0, monotonic=lambda: clock.now)
    monkeypatch.setattr(terminal, "time", clock)
    return clock


@pytest.fixture
def seen(monkeypatch) -> None:
    monkeypatch.setattr(terminal, "on_terminal", lambda error=False: True)


def test_a_bar_in_a_file(clock, capsys) -> None:
    bar = Bar(total=400, done=100)
    for clock.now, done in ((105.0, 150), (110.0, 200), (112.0, 250), (120.0, 400)):
        bar.show(done)
    bar.end(400)
    assert capsys.readouterr().out == (
        "[##########..........] 200/400  50 %  10.0 a second  0:10, 0:20 left\n"
        "[####################] 400/400  100 %  15.0 a second  0:20, 0:00 left\n"
    )


@pytest.mark.usefixtures("seen")
def test_a_bar_on_a_terminal(clock, capsys) -> None:
    bar = Bar(total=400, done=100)
    for clock.now, done in ((100.5, 150), (102.0, 200), (104.0, 400)):
        bar.show(done)
    bar.end(400)
    assert capsys.readouterr().out == (
        "\r[##########..........] 200/400  50 %  50.0 a second  0:02, 0:04 left\x1b[K"
        "\r[####################] 400/400  100 %  75.0 a second  0:04, 0:00 left\x1b[K\n"
    )


def test_a_bar_that_starts_at_its_end() -> None:
    assert Bar(total=4, done=4).line(4, 0.0) == (
        "[####################] 4/4  100 %  0.0 a second  0:00, 0:00 left"
    )
    assert Bar(total=4, done=1).line(1, 2.0).endswith("0.0 a second  0:02, ? left")


def test_no_estimate_before_a_tenth_or_ten_seconds() -> None:
    bar = Bar(total=110, done=10)
    for done, seconds, left in (
        (11, 2.0, "?"),
        (19, 9.9, "?"),
        (20, 2.0, "0:18"),
        (11, 10.0, "16:30"),
        (10, 60.0, "?"),
    ):
        assert bar.line(done, seconds).endswith(f", {left} left")


def test_no_terminal_without_standard_output(monkeypatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    assert not on_terminal()
    monkeypatch.setattr(sys, "stdout", types.SimpleNamespace(isatty=lambda: True))
    assert on_terminal()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Mary went home.", "Mary went home."),
        ("two\nlines\tand\r\nmore", "two lines and  more"),
        # Colours, a title, a bell, a backspace, and the 8-bit form of an escape sequence.
        ("\x1b[31m \x1b]0;title\x07 \x08 \x9b1m", "�[31m �]0;title� � �1m"),
        # Characters that change the text direction, and half a surrogate pair.
        ("a\u202eb\u2066c \ud800", "a�b�c �"),
        # A no-break space, and a joiner.
        ("a\u00a0b می\u200cخواهم", "a b می\u200cخواهم"),
        ("naïve 玛丽 🦉", "naïve 玛丽 🦉"),
    ],
)
def test_plain_text(text: str, shown: str) -> None:
    assert plain(text) == shown
