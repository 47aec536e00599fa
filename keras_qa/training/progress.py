"""Progress of a training: one line per epoch."""

from __future__ import annotations

import time
from typing import Any

import keras

from keras_qa._terminal import Line, clock, on_terminal, time_left


class Progress(keras.callbacks.Callback):
    """Prints a line per epoch. A terminal also shows the progress within the epoch.

    `steps` is the number of batches per epoch, if Keras does not know it.
    """

    def __init__(self, epochs: int, steps: int, label: str = "") -> None:
        super().__init__()
        self.epochs = epochs
        self.steps = steps
        self.label = label
        self.first = 0

    def on_train_begin(self, logs: dict[str, float] | None = None) -> None:
        self.start: float | None = None
        self.shown = Line()
        self.steps = self.params.get("steps") or self.steps

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        if self.start is None:
            self.start, self.first = time.monotonic(), epoch
        self.epoch = epoch

    def on_train_batch_end(self, step: int, logs: dict[str, float] | None = None) -> None:
        # Only a terminal can replace the line of an incomplete epoch.
        if on_terminal() and self.shown.due():
            share = (step + 1) / self.steps
            self.shown.show(f"{self._line(self.epoch + share, logs or {})} {share:4.0%}")

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        self.shown.keep(self._line(epoch + 1, logs or {}))

    def on_train_end(self, logs: dict[str, float] | None = None) -> None:
        self.shown.end()

    def _line(self, done: float, logs: dict[str, Any]) -> str:
        parts = [f"{self.label}epoch {self.epoch + 1:{len(str(self.epochs))}}/{self.epochs}"]
        if "loss" in logs:
            parts.append(f"loss {float(logs['loss']):.4f}")
        for name, word in (("accuracy", "accuracy"), ("val_accuracy", "validation")):
            value = metric(logs, name)
            if value is not None:
                parts.append(f"{word} {value:6.1%}")
        past = time.monotonic() - (self.start or time.monotonic())
        left = time_left(done - self.first, self.epochs - done, past)
        parts.append(clock(past) if left is None else f"{clock(past)}, at most {left} left")
        return "  ".join(parts)


def metric(logs: dict[str, Any], name: str) -> float | None:
    """Returns a metric of the answers, or `None`, whatever its key in the logs.

    If the model has a second output, the key has the prefix `answer_`. The accuracy of readers of
    spans is `exact_match`.
    """
    head, rest = ("val_", name.removeprefix("val_")) if name.startswith("val_") else ("", name)
    names = [name, f"{head}answer_{rest}", *([f"{head}exact_match"] * (rest == "accuracy"))]
    value = next((logs[key] for key in names if key in logs), None)
    return None if value is None else float(value)
