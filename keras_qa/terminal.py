"""What a terminal shows of long work: lines that say how far it is. And what it must not show."""

from __future__ import annotations

import sys
import time

# Seconds between two lines that replace each other, on a terminal.
PAUSE = 1.0
# Seconds between two lines elsewhere, such as in a file, where each of them stays.
APART = 10.0

# They join letters of Persian and Indic scripts, and parts of pictures, and move nothing else.
_JOINERS = "\u200c\u200d"


def on_terminal() -> bool:
    """Whether what is printed can be seen on a terminal, and replaced there."""
    return sys.stdout is not None and sys.stdout.isatty()


def plain(text: str) -> str:
    """A text without what moves a terminal's cursor, or changes its colours or its direction.

    Args:
        text: A text from anywhere.

    Returns:
        One line. White space is a space, and what cannot be printed is `�`.

    Examples:
        >>> from keras_qa.terminal import plain
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
    """A line that says how far long work is.

    On a terminal it stays in its place, and changes once a second at most. Elsewhere, such as in a
    file, a line is written once in ten seconds at most, and the last one always.
    """

    def __init__(self) -> None:
        self.shown = time.monotonic()
        self.waiting: str | None = None

    def due(self) -> bool:
        """Whether it is time to write."""
        return time.monotonic() - self.shown >= (PAUSE if on_terminal() else APART)

    def show(self, text: str) -> None:
        """Writes the line, if it is time to. The next one takes its place.

        Args:
            text: The line.
        """
        if self.due():
            self._write(text, stays=False)

    def keep(self, text: str) -> None:
        """Writes a line that stays on a terminal. Elsewhere it waits until it is time to, or for a
        later line.

        Args:
            text: The line.
        """
        if on_terminal() or self.due():
            self._write(text, stays=True)
        else:
            self.waiting = text

    def end(self) -> None:
        """Writes the line that waits, if any: it is the last one."""
        if self.waiting is not None:
            self._write(self.waiting, stays=True)

    def _write(self, text: str, stays: bool) -> None:
        self.shown, self.waiting = time.monotonic(), None
        if on_terminal():
            print(f"\r{plain(text)}\x1b[K", end="\n" if stays else "", flush=True)
        else:
            print(plain(text), flush=True)


class Bar:
    """Shows how many of some questions are answered, and the time left, as a `Line`.

    Args:
        total: Number of questions.
        done: How many of them were answered before.

    Examples:
        >>> from keras_qa.terminal import Bar
        >>> Bar(total=4_000, done=1_000).line(2_000, seconds=50)
        '[##########..........] 2,000/4,000  50 %  20.0 a second  0:50, 1:40 left'
    """

    WIDTH = 20

    def __init__(self, total: int, done: int = 0) -> None:
        self.total = total
        self.first = done
        self.start = time.monotonic()
        self.shown = Line()

    def show(self, done: int) -> None:
        """Shows the line, if it is time to.

        Args:
            done: Number of questions answered, those before included.
        """
        # The last one is for `end`.
        if done < self.total and self.shown.due():
            self.shown.show(self.line(done, time.monotonic() - self.start))

    def end(self, done: int) -> None:
        """Shows the line a last time.

        Args:
            done: As in `show`.
        """
        self.shown.keep(self.line(done, time.monotonic() - self.start))
        self.shown.end()

    def line(self, done: int, seconds: float) -> str:
        """The line.

        Args:
            done: As in `show`.
            seconds: How long it has taken.
        """
        share = done / self.total if self.total else 1.0
        full = int(share * self.WIDTH)
        rate = (done - self.first) / max(seconds, 1e-9)
        missing = self.total - done
        left = clock(missing / rate) if rate else "?" if missing else clock(0)
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
