"""Checkpoints: the whole state of a training run in one file, which is replaced at once or not."""

from __future__ import annotations

import dataclasses
import json
import os
import pathlib
import random
import time
import zipfile
from typing import Any

import keras
import numpy as np

from keras_qa import execution
from keras_qa.files.atomic import replacing
from keras_qa.inputs import HardExampleSampling
from keras_qa.recipes.progress import metric

FORMAT = 1
# Epochs without a lower loss that end a run whose validation part has no error left.
PATIENCE_WITHOUT_ERRORS = 3


@dataclasses.dataclass
class TrainingCheckpoint:
    """What it takes to go on with a training run.

    Args:
        run: What makes the run what it is: settings, seed, a digest of the
            data. A run goes on from a checkpoint of the same run only.
        epochs: Number of epochs that were trained.
        state: Weights, seeds of dropout and the optimizer's variables after
            the last of them; and the rows' weights where an epoch trains on a
            share of them.
        best: The best epoch's weights, or an empty list.
        notes: What else the run has to remember, all of which JSON can hold.
    """

    run: dict[str, Any]
    epochs: int
    state: list[np.ndarray]
    best: list[np.ndarray]
    notes: dict[str, Any]

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes the checkpoint.

        Whenever the process or the machine stops, `path` holds the checkpoint
        that was there before, or this one.

        Args:
            path: The file.
        """
        header = {"format": FORMAT, "run": self.run, "epochs": self.epochs, "notes": self.notes}
        arrays = {"header": np.frombuffer(json.dumps(header).encode(), "uint8")}
        for name in ("state", "best"):
            for place, array in enumerate(getattr(self, name)):
                arrays[f"{name}_{place}"] = array
        with replacing(path) as partial, open(partial, "wb") as file:
            np.savez(file, **arrays)  # type: ignore[arg-type]
            file.flush()
            os.fsync(file.fileno())

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> TrainingCheckpoint:
        """Reads a checkpoint. Nothing in it is executed.

        Args:
            path: The file.

        Returns:
            The `TrainingCheckpoint`.

        Raises:
            ValueError: If the file is damaged, or no checkpoint.
        """
        try:
            with open(path, "rb") as file, np.load(file, allow_pickle=False) as arrays:
                header = json.loads(arrays["header"].tobytes())
                parts: dict[str, list[np.ndarray]] = {"state": [], "best": []}
                for name, found in parts.items():
                    while f"{name}_{len(found)}" in arrays:
                        found.append(arrays[f"{name}_{len(found)}"])
            known = header["format"] == FORMAT
            rest: Any = {name: header[name] for name in ("run", "epochs", "notes")}
        except (zipfile.BadZipFile, ValueError, KeyError, EOFError, TypeError, AttributeError):
            raise ValueError(
                f"`{path}` is no checkpoint, or it is damaged. Delete it to start anew."
            ) from None
        if not known:
            raise ValueError(
                f"`{path}` was written by another version of keras-qa. Delete it to start anew."
            )
        return cls(**rest, state=parts["state"], best=parts["best"])

    def check(self, run: dict[str, Any], path: str | os.PathLike[str]) -> None:
        """Raises where the checkpoint is of another run.

        Args:
            run: What makes the run that wants to go on what it is.
            path: The checkpoint's file, for the message.

        Raises:
            ValueError: If a setting, the seed or the data differ.
        """
        for name in run:
            if self.run.get(name) != run[name]:
                raise ValueError(
                    f"`{path}` is the checkpoint of another run: its `{name}` is "
                    f"{self.run.get(name)!r}, but {run[name]!r} here. Go on with the same "
                    "settings and data, or delete it to start anew."
                )


def capture(model: keras.Model) -> list[np.ndarray]:
    """Copies of all that training changes: weights, seeds, and the optimizer's variables."""
    return [keras.ops.convert_to_numpy(variable.value).copy() for variable in _variables(model)]


def restore(model: keras.Model, state: list[np.ndarray]) -> None:
    """Sets what `capture` copied from the same model, built anew."""
    for variable, value in zip(_variables(model), state, strict=True):
        execution.assign(variable, value)


def _variables(model: keras.Model) -> list[Any]:
    if not model.optimizer.built:
        model.optimizer.build(model.trainable_variables)
    return [*model.variables, *model.optimizer.variables]


class TrainingState(keras.callbacks.Callback):
    """All that a run knows: what was trained, which epoch was best, and when to stop.

    Args:
        run: What makes the run what it is, see `TrainingCheckpoint`. Of its entries
            `epochs`, `patience` and `seed` are used here.
        path: The checkpoint's file, to go on from if it is there, and to
            replace after each epoch. `None` for none.
        patient_epochs: Number of epochs, the first ones, that do not count for
            `patience`.
        sampling: What chooses the rows of an epoch, or `None` where all are.

    Attributes:
        epochs: Number of epochs trained.
        notes: What a checkpoint keeps: `history`, `best_epoch`, `score`,
            `waited`, `seconds` and `ended`.
    """

    def __init__(
        self,
        run: dict[str, Any],
        path: pathlib.Path | None,
        patient_epochs: int = 0,
        sampling: HardExampleSampling | None = None,
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
            "best_epoch": 0,
            "score": None,
            "waited": 0,
            "seconds": 0.0,
            "ended": False,
        }
        self.found: list[np.ndarray] | None = None
        if path is not None and path.exists():
            checkpoint = TrainingCheckpoint.load(path)
            checkpoint.check(run, path)
            self.epochs, self.notes = checkpoint.epochs, checkpoint.notes
            self.found, self.best = checkpoint.state, checkpoint.best
            if sampling is not None:
                sampling.weights = self.found.pop()

    @property
    def last_epoch(self) -> int:
        """Where `fit` has to end: at once, if the run had."""
        return self.epochs if self.notes["ended"] else self.run["epochs"]

    def on_train_begin(self, logs: dict[str, float] | None = None) -> None:
        if self.found is not None:
            restore(self.model, self.found)
            self.found = None
        self.mark = time.monotonic()

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        # What draws from global generators draws the same in a run that was broken off. Not by
        # `set_random_seed`, which makes TensorFlow compile everything anew.
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
        if "val_accuracy" in values:
            self._compare(values["val_accuracy"], values["val_loss"])
        if notes["ended"]:
            self.model.stop_training = True
        if self.path is not None:
            state = capture(self.model)
            if self.sampling is not None:
                state.append(self.sampling.weights)
            TrainingCheckpoint(self.run, self.epochs, state, self.best, notes).save(self.path)

    def _compare(self, accuracy: Any, loss: Any) -> None:
        notes = self.notes
        score = [accuracy, -loss]
        rises = notes["score"] is None or accuracy > notes["score"][0]
        better = rises or score > notes["score"]
        right = accuracy == 1.0
        starting = self.epochs <= self.patient_epochs
        # Without an error left only the loss says whether more is learned.
        goes_on = rises or starting or (right and better)
        notes["waited"] = 0 if goes_on else notes["waited"] + 1
        if better:
            notes["score"], notes["best_epoch"] = score, self.epochs
            self.best = self.model.get_weights()
        patience = self.run["patience"]
        if right:
            patience = min(patience, PATIENCE_WITHOUT_ERRORS)
        if notes["waited"] >= patience:
            notes["ended"] = True

    def on_train_end(self, logs: dict[str, float] | None = None) -> None:
        if self.best:
            self.model.set_weights(self.best)
