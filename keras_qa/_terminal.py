"""Progress of long work in a terminal or a file, and text that is safe to print."""

from __future__ import annotations

import contextlib
import signal
import sys
import time
from collections.abc import Iterator

# Seconds between two updates: a terminal replaces the line, a file gets another line.
TERMINAL_INTERVAL = 1.0
FILE_INTERVAL = 10.0

# Joiners of letters and of emojis. They are not printable, but harmless.
_JOINERS = "\u200c\u200d"


def on_terminal(error: bool = False) -> bool:
    """Whether standard output, or standard error, is a terminal."""
    stream = sys.stderr if error else sys.stdout
    return stream is not None and stream.isatty()


@contextlib.contextmanager
def blocked_sigint() -> Iterator[None]:
    """Processes that start in the block ignore Ctrl-C, which reaches all processes of a terminal.

    The process that starts them ends them.
    """
    if sys.platform == "win32":
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def plain(text: str) -> str:
    """Returns a text as one line without characters that control a terminal.

    White space becomes a space. Other characters that are not printable become `�`.
    """
    return "".join(
        letter
        if letter.isprintable() or letter in _JOINERS
        else " "
        if letter.isspace()
        else "\N{REPLACEMENT CHARACTER}"
        for letter in text
    )


def print_plain(text: str) -> None:
    """Prints a line without characters that control a terminal."""
    print(plain(text), flush=True)


class Bar:
    """A progress bar with the time left. `done` items were done before.

    A terminal shows it in place and updates it at most once per second. A file gets a new line at
    most every ten seconds, and always the last state. With `error` it goes to standard error.
    """

    WIDTH = 20

    def __init__(self, total: int, done: int = 0, error: bool = False) -> None:
        self.total = total
        self.first = done
        self.error = error
        self.start = self.shown = time.monotonic()
        self.is_shown = False

    def show(self, done: int) -> None:
        """Shows the bar if an update is due. `done` includes the items that were done before."""
        interval = TERMINAL_INTERVAL if on_terminal(self.error) else FILE_INTERVAL
        # `end` shows the last state.
        if done < self.total and time.monotonic() - self.shown >= interval:
            self.shown = time.monotonic()
            self._write(done, stays=not on_terminal(self.error))

    def end(self, done: int) -> None:
        """Shows the bar a last time."""
        self._write(done, stays=True)

    def _write(self, done: int, stays: bool) -> None:
        self.is_shown = True
        line = self.line(done, time.monotonic() - self.start)
        if on_terminal(self.error):
            line = f"\r{line}\x1b[K"
        file = sys.stderr if self.error else sys.stdout
        print(line, end="\n" if stays else "", file=file, flush=True)

    def line(self, done: int, seconds: float) -> str:
        """The text of the bar after some seconds."""
        share = done / self.total if self.total else 1.0
        full = int(share * self.WIDTH)
        rate = (done - self.first) / max(seconds, 1e-9)
        left = _time_left(done - self.first, self.total - done, seconds)
        return (
            f"[{'#' * full}{'.' * (self.WIDTH - full)}] {done:,}/{self.total:,}  {share:.0%}  "
            f"{rate:,.1f} a second  {clock(seconds)}, {left} left"
        ).replace("%", " %")


def _time_left(done: int, missing: int, seconds: float) -> str:
    """Estimates the time for the missing work; "?" before a tenth of it and ten seconds."""
    if not missing:
        return clock(0)
    is_early = seconds < 10 and done < 0.1 * (done + missing)
    return "?" if is_early or not done else clock(seconds * missing / done)


def clock(seconds: float) -> str:
    """Formats seconds as hours, minutes and seconds: 1:05, or 2:02:05."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
