"""How far the work is: a line an epoch of training, and a bar for questions that are answered."""

from __future__ import annotations

import sys
import time
from typing import Any

import keras

# Reading a loss off waits for the device: no more often than this, in seconds.
PAUSE = 1.0


class Progress(keras.callbacks.Callback):
    """Prints a line an epoch, which grows in place on a terminal.

    Args:
        epochs: Number of epochs at most.
        steps: Number of batches an epoch, where Keras does not say.
        label: What each line begins with.
    """

    def __init__(self, epochs: int, steps: int, label: str = "") -> None:
        super().__init__()
        self.epochs = epochs
        self.steps = steps
        self.label = label
        self.first = 0

    def on_train_begin(self, logs: Any = None) -> None:
        self.start: float | None = None
        self.steps = self.params.get("steps") or self.steps

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        if self.start is None:
            self.start, self.first = time.monotonic(), epoch
        self.epoch = epoch
        self.shown = time.monotonic()

    def on_train_batch_end(self, step: int, logs: Any = None) -> None:
        now = time.monotonic()
        if now - self.shown < PAUSE or not sys.stdout.isatty():
            return
        self.shown = now
        share = (step + 1) / self.steps
        print(f"\r{self._line(self.epoch + share, logs or {})} {share:4.0%}", end="", flush=True)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        begin, end = ("\r", "\x1b[K\n") if sys.stdout.isatty() else ("", "\n")
        print(begin + self._line(epoch + 1, logs or {}), end=end, flush=True)

    def _line(self, done: float, logs: dict[str, Any]) -> str:
        parts = [f"{self.label}epoch {self.epoch + 1:{len(str(self.epochs))}}/{self.epochs}"]
        if "loss" in logs:
            parts.append(f"loss {float(logs['loss']):.4f}")
        for name, word in (("accuracy", "accuracy"), ("val_accuracy", "validation")):
            value = metric(logs, name)
            if value is not None:
                parts.append(f"{word} {value:6.1%}")
        past = time.monotonic() - (self.start or time.monotonic())
        left = past / max(done - self.first, 1e-9) * (self.epochs - done)
        parts.append(f"{clock(past)}, at most {clock(left)} left")
        return "  ".join(parts)


class Bar:
    """Shows how many of some questions are answered, and the time left.

    On a terminal the line stays in its place; elsewhere there is one a minute.

    Args:
        total: Number of questions.
        done: How many of them were answered before.

    Examples:
        >>> from keras_qa.progress import Bar
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


def metric(logs: dict[str, Any], name: str) -> float | None:
    """A metric of the answers, whether they are the model's only output or not.

    For readers of spans the accuracy is how often the best span is the right one.

    Examples:
        >>> from keras_qa.progress import metric
        >>> metric({"val_answer_accuracy": 0.5}, "val_accuracy")
        0.5
    """
    head, rest = ("val_", name.removeprefix("val_")) if name.startswith("val_") else ("", name)
    names = [name, f"{head}answer_{rest}", *([f"{head}exact_match"] * (rest == "accuracy"))]
    value = next((logs[key] for key in names if key in logs), None)
    return None if value is None else float(value)


def clock(seconds: float) -> str:
    """Seconds as hours, minutes and seconds.

    Examples:
        >>> from keras_qa.progress import clock
        >>> clock(65), clock(7325)
        ('1:05', '2:02:05')
    """
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
