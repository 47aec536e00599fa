"""Progress lines of training on a terminal and in a file."""

import pytest

from keras_qa import _terminal as terminal
from keras_qa.training import progress
from keras_qa.training.progress import Progress


class Clock:
    now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(terminal, "time", clock)
    monkeypatch.setattr(progress, "time", clock)
    return clock


def train(clock: Clock, epochs: int, seconds: float) -> None:
    """Runs some of four epochs with two batches and the given seconds each."""
    shown = Progress(epochs=4, steps=2, label="seed 7  ")
    shown.set_params({"steps": 2})
    shown.on_train_begin()
    for epoch in range(epochs):
        shown.on_epoch_begin(epoch)
        for batch in range(2):
            clock.now += seconds / 2
            shown.on_train_batch_end(batch, {"loss": 0.5, "accuracy": 0.25})
        shown.on_epoch_end(epoch, {"loss": 0.5, "accuracy": 0.25, "val_accuracy": 1.0})
    shown.on_train_end()


def line(epoch: int, past: str, left: str) -> str:
    return (
        f"seed 7  epoch {epoch}/4  loss 0.5000  accuracy  25.0%  validation 100.0%  {past}, "
        f"at most {left} left"
    )


def test_fast_epochs_in_a_file(clock, capsys) -> None:
    train(clock, 4, 5.0)
    expected = [line(2, "0:10", "0:10"), line(4, "0:20", "0:00")]
    assert capsys.readouterr().out.splitlines() == expected
    # If training stops early, the last line is written once.
    train(clock, 3, 5.0)
    expected = [line(2, "0:10", "0:10"), line(3, "0:15", "0:05")]
    assert capsys.readouterr().out.splitlines() == expected
    train(clock, 1, 1.0)
    assert capsys.readouterr().out.splitlines() == [line(1, "0:01", "0:03")]


def test_no_estimate_before_a_tenth_or_ten_seconds(clock) -> None:
    shown = Progress(epochs=10, steps=4)
    shown.set_params({"steps": 4})
    shown.on_train_begin()
    shown.on_epoch_begin(0)
    clock.now += 9
    assert shown._line(0.25, {}) == "epoch  1/10  0:09"
    assert shown._line(1, {}) == "epoch  1/10  0:09, at most 1:21 left"
    clock.now += 1
    assert shown._line(0.25, {}) == "epoch  1/10  0:10, at most 6:30 left"


def test_epochs_on_a_terminal(clock, capsys, monkeypatch) -> None:
    for module in (terminal, progress):
        monkeypatch.setattr(module, "on_terminal", lambda error=False: True)
    train(clock, 2, 2.0)
    assert capsys.readouterr().out == (
        "\rseed 7  epoch 1/4  loss 0.5000  accuracy  25.0%  0:01, at most 0:07 left  50%\x1b[K"
        "\rseed 7  epoch 1/4  loss 0.5000  accuracy  25.0%  0:02, at most 0:06 left 100%\x1b[K"
        f"\r{line(1, '0:02', '0:06')}\x1b[K\n"
        "\rseed 7  epoch 2/4  loss 0.5000  accuracy  25.0%  0:03, at most 0:05 left  50%\x1b[K"
        "\rseed 7  epoch 2/4  loss 0.5000  accuracy  25.0%  0:04, at most 0:04 left 100%\x1b[K"
        f"\r{line(2, '0:04', '0:04')}\x1b[K\n"
    )
