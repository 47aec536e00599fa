"""`train(devices=2)` and `keras-qa train --devices 2` start a second process."""

from __future__ import annotations

import json
import multiprocessing
import os
import pathlib
import signal

import keras
import numpy as np
import pytest
import torch.distributed as dist
from command_line import error_line
from recipe_cases import SMALL, small

import keras_qa
from keras_qa.cli import main

QUIET = {**SMALL, "dropout": 0.0, "noise": 0.0}


class EndAtStart(keras.callbacks.Callback):
    """Ends a process that unpickles it."""

    def __setstate__(self, state: dict) -> None:
        os._exit(3)


class EndSecond(keras.callbacks.Callback):
    """Ends the second process in the second epoch, by a signal or an exception."""

    def __init__(self, kill: bool) -> None:
        super().__init__()
        self.kill = kill

    def on_epoch_begin(self, epoch: int, logs=None) -> None:
        if epoch == 1 and dist.get_rank() == 1:
            if self.kill:
                os.kill(os.getpid(), signal.SIGKILL)
            raise ArithmeticError("It stops here.")


def weights(answerer: keras_qa.QuestionAnswerer) -> np.ndarray:
    return np.concatenate([array.ravel() for array in answerer.model_.get_weights()])


def assert_no_process_left() -> None:
    assert not dist.is_initialized()
    assert multiprocessing.active_children() == []


def test_two_devices_train_as_one() -> None:
    stop = keras.callbacks.EarlyStopping("val_loss", patience=0, min_delta=10.0)
    options = {"model_options": QUIET, "callbacks": [stop]}
    expected, done = small(**options), small(**options, devices=2)
    # Both stop early.
    assert expected.runs[0].epochs == done.runs[0].epochs == 2
    np.testing.assert_allclose(
        weights(done.answerer), weights(expected.answerer), rtol=0, atol=1e-5
    )
    for name, logs in expected.runs[0].history.items():
        np.testing.assert_allclose(done.runs[0].history[name], logs, rtol=0, atol=1e-5)
    assert_no_process_left()


def test_command_with_devices(tmp_path: pathlib.Path, capsys: pytest.CaptureFixture) -> None:
    command = ["train", "--data=simulated", "--examples=60", "--epochs=2", "--augment-to"]
    command += ["--model=memory_network", f"--model-options={json.dumps(QUIET)}"]
    answerers = []
    for devices in (1, 2):
        out = tmp_path / f"{devices}.keras"
        assert main([*command, f"--devices={devices}", f"--output={out}"]) == 0
        assert f"Saved {out}." in capsys.readouterr().out
        answerers.append(keras_qa.load(out))
    np.testing.assert_allclose(*map(weights, answerers), rtol=0, atol=1e-5)
    most = os.cpu_count()
    assert f"`devices` must be at most {most}, the number of processors. Received: devices=99." in (
        error_line(capsys, *command, "--devices=99", f"--output={tmp_path / 'other.keras'}")
    )
    assert sorted(path.name for path in tmp_path.iterdir()) == ["1.keras", "2.keras"]


@pytest.mark.parametrize(
    ("callback", "reason"),
    [
        (EndSecond(kill=True), "terminated with signal SIGKILL"),
        (EndSecond(kill=False), "ArithmeticError: It stops here."),
        (EndAtStart(), "terminated with exit code 3"),
    ],
)
def test_a_process_that_ends_is_an_error_in_one_line(callback, reason: str, tmp_path) -> None:
    out = tmp_path / "qa.keras"
    with pytest.raises(ChildProcessError, match=f"^Process 1 of the training has ended: {reason}$"):
        small(devices=2, callbacks=[callback], out=out)
    assert not out.exists()
    assert_no_process_left()


def test_arguments_that_cannot_be_sent() -> None:
    callback = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: None)
    expected = "^`devices` sends the arguments to other processes, but pickle cannot: Can't pickle"
    with pytest.raises(ValueError, match=expected) as caught:
        small(devices=2, callbacks=[callback])
    assert len(str(caught.value)) <= 300
    assert_no_process_left()


def test_devices_in_a_process_of_several(tmp_path: pathlib.Path) -> None:
    dist.init_process_group("gloo", f"file://{tmp_path / 'store'}", world_size=1, rank=0)
    try:
        with pytest.raises(ValueError, match="^`devices` starts processes, and this is one of"):
            small(devices=2)
    finally:
        dist.destroy_process_group()
