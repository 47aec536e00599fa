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

    Examples:
        >>> from keras_qa._terminal import plain
        >>> plain("A \\x1b[31mred\\tline.\\n")
        'A �[31mred line. '
    """
    return "".join(
        letter
        if letter.isprintable() or letter in _JOINERS
        else " "
        if letter.isspace()
        else "\N{REPLACEMENT CHARACTER}"
        for letter in text
    )


class Line:
    """A line of progress.

    A terminal shows it in place and updates it at most once per second. A file gets a new line at
    most every ten seconds, and always the last line. With `error` it goes to standard error.
    """

    def __init__(self, error: bool = False) -> None:
        self.error = error
        self.shown = time.monotonic()
        self.waiting: str | None = None

    def due(self) -> bool:
        """Whether the next update is due."""
        return time.monotonic() - self.shown >= (
            TERMINAL_INTERVAL if on_terminal(self.error) else FILE_INTERVAL
        )

    def show(self, text: str) -> None:
        """Writes a line if an update is due. On a terminal, the next line replaces it."""
        if self.due():
            self._write(text, stays=False)

    def keep(self, text: str) -> None:
        """Writes a line that a terminal keeps. In a file it waits until an update is due."""
        if on_terminal(self.error) or self.due():
            self._write(text, stays=True)
        else:
            self.waiting = text

    def end(self) -> None:
        """Writes the waiting line, if any, as the last one."""
        if self.waiting is not None:
            self._write(self.waiting, stays=True)

    def _write(self, text: str, stays: bool) -> None:
        self.shown, self.waiting = time.monotonic(), None
        file = sys.stderr if self.error else sys.stdout
        if on_terminal(self.error):
            print(f"\r{plain(text)}\x1b[K", end="\n" if stays else "", file=file, flush=True)
        else:
            print(plain(text), file=file, flush=True)


class Bar:
    """A progress bar with the time left. `done` items were done before. `error` is as in `Line`.

    Examples:
        >>> from keras_qa._terminal import Bar
        >>> Bar(total=4_000, done=1_000).line(2_000, seconds=50)
        '[##########..........] 2,000/4,000  50 %  20.0 a second  0:50, 1:40 left'
    """

    WIDTH = 20

    def __init__(self, total: int, done: int = 0, error: bool = False) -> None:
        self.total = total
        self.first = done
        self.start = time.monotonic()
        self.shown = Line(error)

    def show(self, done: int) -> None:
        """Shows the bar if an update is due. `done` includes the items that were done before."""
        # `end` shows the last state.
        if done < self.total:
            self.shown.show(self.line(done, time.monotonic() - self.start))

    def end(self, done: int) -> None:
        """Shows the bar a last time."""
        self.shown.keep(self.line(done, time.monotonic() - self.start))
        self.shown.end()

    def line(self, done: int, seconds: float) -> str:
        """The text of the bar after some seconds."""
        share = done / self.total if self.total else 1.0
        full = int(share * self.WIDTH)
        rate = (done - self.first) / max(seconds, 1e-9)
        left = time_left(done - self.first, self.total - done, seconds) or "?"
        return (
            f"[{'#' * full}{'.' * (self.WIDTH - full)}] {done:,}/{self.total:,}  {share:.0%}  "
            f"{rate:,.1f} a second  {clock(seconds)}, {left} left"
        ).replace("%", " %")


def time_left(done: float, missing: float, seconds: float) -> str | None:
    """Estimates the time for the missing work from the seconds that the work done took.

    It is as `clock` formats it; `None` before a tenth of the work and ten seconds.

    Examples:
        >>> from keras_qa._terminal import time_left
        >>> time_left(1, 9, seconds=2), time_left(1, 99, seconds=2), time_left(1, 99, seconds=10)
        ('0:18', None, '16:30')
    """
    if not missing:
        return clock(0)
    is_early = seconds < 10 and done < 0.1 * (done + missing)
    return None if is_early or not done else clock(seconds * missing / done)


def clock(seconds: float) -> str:
    """Formats seconds as hours, minutes and seconds.

    Examples:
        >>> from keras_qa._terminal import clock
        >>> clock(65), clock(7325)
        ('1:05', '2:02:05')
    """
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
