"""What a terminal shows of long work: a bar that says how far it is."""

from __future__ import annotations

import sys
import time

# Seconds between two lines that replace each other.
PAUSE = 1.0


class Bar:
    """Shows how many of some questions are answered, and the time left.

    On a terminal the line stays in its place; elsewhere there is one a minute.

    Args:
        total: Number of questions.
        done: How many of them were answered before.

    Examples:
        >>> from keras_qa.terminal import Bar
        >>> Bar(total=4_000, done=1_000).line(2_000, seconds=50)
        '[##########..........] 2,000/4,000  50 %  20.0 a second  0:50, 1:40 left'
    """

    WIDTH = 20
    EVERY = 60.0

    def __init__(self, total: int, done: int = 0) -> None:
        self.total = total
        self.first = done
        self.start = self.shown = time.monotonic()

    def show(self, done: int) -> None:
        """Shows the line, if it is time to.

        Args:
            done: Number of questions answered, those before included.
        """
        now = time.monotonic()
        terminal = sys.stdout.isatty()
        if now - self.shown >= (PAUSE if terminal else self.EVERY):
            self.shown = now
            line = self.line(done, now - self.start)
            print(f"\r{line}\x1b[K" if terminal else line, end="" if terminal else "\n", flush=True)

    def end(self, done: int) -> None:
        """Shows the line a last time, on a terminal.

        Args:
            done: As in `show`.
        """
        if sys.stdout.isatty():
            print(f"\r{self.line(done, time.monotonic() - self.start)}\x1b[K", flush=True)

    def line(self, done: int, seconds: float) -> str:
        """The line.

        Args:
            done: As in `show`.
            seconds: How long it has taken.
        """
        share = done / self.total if self.total else 1.0
        full = int(share * self.WIDTH)
        rate = (done - self.first) / max(seconds, 1e-9)
        left = clock((self.total - done) / rate) if rate else "?"
        return (
            f"[{'#' * full}{'.' * (self.WIDTH - full)}] {done:,}/{self.total:,}  {share:.0%}  "
            f"{rate:,.1f} a second  {clock(seconds)}, {left} left"
        ).replace("%", " %")


def clock(seconds: float) -> str:
    """Seconds as hours, minutes and seconds.

    Examples:
        >>> from keras_qa.terminal import clock
        >>> clock(65), clock(7325)
        ('1:05', '2:02:05')
    """
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
