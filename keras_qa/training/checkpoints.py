"""Checkpoints of a training run, and the callback that writes them and stops the training."""

from __future__ import annotations

import dataclasses
import json
import os
import pathlib
import random
import time
import zipfile
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from keras_qa.data.files import replace_atomically
from keras_qa.engine import execution
from keras_qa.engine.graph import state_variables
from keras_qa.engine.hard_examples import HardExampleSampling

FORMAT = 1
# The patience, in epochs without a lower loss, once all validation answers are right.
PATIENCE_WITHOUT_ERRORS = 3


@dataclasses.dataclass
class TrainingCheckpoint:
    """The state of a training run.

    `run` is its identity: settings, seed and a digest of the data. `state` has weights, seeds of
    dropout and variables of the optimizer after the last of `epochs`; then the row weights of
    hard-example sampling, if it is on. `best` has the weights of the best epoch, or is empty.
    """

    run: dict[str, Any]
    epochs: int
    state: list[np.ndarray]
    best: list[np.ndarray]
    notes: dict[str, Any]

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes the checkpoint atomically: a crash leaves the old file or the new one."""
        header = {"format": FORMAT, "run": self.run, "epochs": self.epochs, "notes": self.notes}
        arrays = {"header": np.frombuffer(json.dumps(header).encode(), "uint8")}
        for name in ("state", "best"):
            for number, array in enumerate(getattr(self, name)):
                arrays[f"{name}_{number}"] = array
        with replace_atomically(path) as partial, open(partial, "wb") as file:
            np.savez(file, **arrays)  # type: ignore[arg-type]
            file.flush()
            os.fsync(file.fileno())

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> TrainingCheckpoint:
        """Reads a checkpoint, without executing anything in it."""
        try:
            with open(path, "rb") as file, np.load(file, allow_pickle=False) as arrays:
                header = json.loads(arrays["header"].tobytes())
                parts: dict[str, list[np.ndarray]] = {"state": [], "best": []}
                for name, part in parts.items():
                    while f"{name}_{len(part)}" in arrays:
                        part.append(arrays[f"{name}_{len(part)}"])
            if header["format"] != FORMAT:
                raise ValueError
            rest: Any = {name: header[name] for name in ("run", "epochs", "notes")}
        except (zipfile.BadZipFile, ValueError, KeyError, EOFError, TypeError, AttributeError):
            raise ValueError(
                f"`{path}` is not a checkpoint, or it is damaged. Delete it to start again."
            ) from None
        return cls(**rest, state=parts["state"], best=parts["best"])

    def check(self, run: dict[str, Any], path: str | os.PathLike[str]) -> None:
        """Raises if a setting, the seed or the data of a run to resume from `path` differ."""
        for name in run:
            if self.run.get(name) != run[name]:
                raise ValueError(
                    f"`{path}` is the checkpoint of another run: its `{name}` is "
                    f"{self.run.get(name)!r}, but {run[name]!r} here. Use the same settings and "
                    "data, or delete it to start again."
                )


def _capture(model: keras.Model) -> list[np.ndarray]:
    """Copies the weights, the seeds and the variables of the optimizer."""
    return [variable.numpy().copy() for variable in _variables(model)]


def _restore(model: keras.Model, state: list[np.ndarray]) -> None:
    """Sets the values of `_capture`, in a new model of the same architecture."""
    for variable, value in zip(_variables(model), state, strict=True):
        variable.assign(value)


def _variables(model: keras.Model) -> list[Any]:
    if not model.optimizer.built:
        model.optimizer.build(model.trainable_variables)
    return state_variables(model)


class TrainingState(keras.callbacks.Callback):
    """Writes checkpoints, finds the best epoch and stops the training early.

    `run` is the identity of the run, with the entries `epochs`, `patience` and `seed`, and `keep`
    if the last epoch is kept. Training resumes from the file `path` if it exists, and replaces it
    after each epoch. The first `patient_epochs` do not count for `patience`. `score` returns the
    validation accuracy, and the loss times -1, of the weights before the first epoch: with it they
    are an epoch 0. A run that resumes does not call it.
    """

    def __init__(
        self,
        run: dict[str, Any],
        path: pathlib.Path | None,
        patient_epochs: int = 0,
        sampling: HardExampleSampling | None = None,
        score: Callable[[], list[float]] | None = None,
    ) -> None:
        super().__init__()
        self.run = run
        self.path = path
        self.patient_epochs = patient_epochs
        self.sampling = sampling
        self.epochs = 0
        self.best: list[np.ndarray] = []
        self.notes: dict[str, Any] = {
            "history": [],
            "best_epoch": None,
            "score": None,
            "waited": 0,
            "seconds": 0.0,
            "ended": False,
        }
        self.restored: list[np.ndarray] | None = None
        if path is not None and path.exists():
            checkpoint = TrainingCheckpoint.load(path)
            checkpoint.check(run, path)
            self.epochs, self.notes = checkpoint.epochs, checkpoint.notes
            self.restored, self.best = checkpoint.state, checkpoint.best
            if sampling is not None:
                sampling.weights = self.restored.pop()
        elif score is not None and run.get("keep") != "last":
            self.notes |= {"score": score(), "best_epoch": 0}

    @property
    def last_epoch(self) -> int:
        """The `epochs` argument of `fit`: no further epoch if the run has ended."""
        return self.epochs if self.notes["ended"] else self.run["epochs"]

    def on_train_begin(self, logs: dict[str, float] | None = None) -> None:
        if self.restored is not None:
            _restore(self.model, self.restored)
            self.restored = None
        elif self.notes["score"] is not None:
            self.best = self.model.get_weights()
        self.mark = time.monotonic()

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        # Seed the global generators by epoch, so that a resumed run draws the same numbers.
        # `keras.utils.set_random_seed` would make TensorFlow compile everything again.
        seed = int(np.random.SeedSequence((self.run["seed"], epoch)).generate_state(1)[0])
        random.seed(seed)
        np.random.seed(seed)
        execution.seed(seed)

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        notes = self.notes
        self.epochs = epoch + 1
        names = ("loss", "accuracy", "val_loss", "val_accuracy")
        values = {name: metric(logs or {}, name) for name in names}
        values = {name: value for name, value in values.items() if value is not None}
        notes["history"].append(values)
        now = time.monotonic()
        notes["seconds"] += now - self.mark
        self.mark = now
        notes["ended"] = self.epochs == self.run["epochs"]
        if "val_accuracy" in values and self.run.get("keep") != "last":
            self._compare(values["val_accuracy"], values["val_loss"])
        if notes["ended"]:
            self.model.stop_training = True
        if self.path is not None and execution.is_first_process():
            state = _capture(self.model)
            if self.sampling is not None:
                state.append(self.sampling.weights)
            TrainingCheckpoint(self.run, self.epochs, state, self.best, notes).save(self.path)

    def _compare(self, accuracy: Any, loss: Any) -> None:
        notes = self.notes
        score = [accuracy, -loss]
        rises = notes["score"] is None or accuracy > notes["score"][0]
        is_best = rises or score > notes["score"]
        is_right = accuracy == 1.0
        # Once all answers are right, only the loss can improve.
        improves = rises or (is_right and is_best) or self.epochs <= self.patient_epochs
        notes["waited"] = 0 if improves else notes["waited"] + 1
        if is_best:
            notes["score"], notes["best_epoch"] = score, self.epochs
            self.best = self.model.get_weights()
        patience = self.run["patience"]
        if is_right:
            patience = min(patience, PATIENCE_WITHOUT_ERRORS)
        if notes["waited"] >= patience:
            notes["ended"] = True

    def on_train_end(self, logs: dict[str, float] | None = None) -> None:
        if self.best:
            self.model.set_weights(self.best)


def metric(logs: dict[str, Any], name: str) -> float | None:
    """Returns a metric of the answers, or `None`, whatever its key in the logs.

    If the model has a second output, the key has the prefix `answer_`. The accuracy of readers of
    spans is `exact_match`.
    """
    head, rest = ("val_", name.removeprefix("val_")) if name.startswith("val_") else ("", name)
    names = [name, f"{head}answer_{rest}", *([f"{head}exact_match"] * (rest == "accuracy"))]
    value = next((logs[key] for key in names if key in logs), None)
    return None if value is None else float(value)
