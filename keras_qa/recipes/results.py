"""What trainings came to, in memory, in words and in a file."""

from __future__ import annotations

import dataclasses
import json
import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from keras_qa.answering import QuestionAnswerer
from keras_qa.files import replace_atomically
from keras_qa.terminal import clock

# A task is failed above this error, in percent (Weston et al. 2015, arXiv:1502.05698).
FAILED = 5.0


@dataclasses.dataclass(frozen=True)
class Run:
    """What one seed came to.

    Args:
        model: Name of the model's factory.
        seed: The seed.
        questions: Number of questions trained on.
        copies: Number of copies of each, with words exchanged, trained on
            beside them.
        validation_questions: Number of questions in the validation part.
        epochs: Number of epochs trained.
        best_epoch: The epoch, from 1, whose weights were kept.
        seconds: What training and validation took, all parts of a resumed run
            together.
        backend: The backend.
        validation_error: Percent of wrong answers in the validation part, or
            `None` without one.
        errors: The same by bAbI task, where examples say which they are of.
        history: `loss`, `accuracy` and, with a validation part, `val_loss` and
            `val_accuracy` of each epoch.
    """

    model: str
    seed: int
    questions: int
    copies: int
    validation_questions: int
    epochs: int
    best_epoch: int
    seconds: float
    backend: str
    validation_error: float | None
    errors: dict[str, float]
    history: dict[str, list[float]]


@dataclasses.dataclass(frozen=True)
class Training:
    """What `train` gives.

    Args:
        answerer: The answerer that did best on the validation part.
        runs: A `Run` for each model and seed that was trained.
        best: The place of its run.
    """

    answerer: QuestionAnswerer
    runs: list[Run]
    best: int

    @property
    def mean_error(self) -> float | None:
        """The mean over the best model's seeds of the error on the validation part, in percent."""
        best = self.runs[self.best]
        errors = _errors(self.runs, best.model, best.copies)
        return sum(errors) / len(errors) if errors else None


def summary(done: Training) -> str:
    """Says in a few lines what the seeds came to, as the papers do: the mean, the best, by task.

    Args:
        done: What `train` gave, with a validation part.

    Returns:
        Lines of text.
    """
    best = done.runs[done.best]
    lines = []
    kinds = list(dict.fromkeys((run.model, run.copies) for run in done.runs))
    if len(kinds) > 1:
        errors = [f"{labelled(*kind)} {min(_errors(done.runs, *kind)):.2f} %" for kind in kinds]
        lines.append(f"best error by model: {', '.join(errors)}")
    seeds = sum((run.model, run.copies) == (best.model, best.copies) for run in done.runs)
    if seeds > 1:
        lines.append(
            f"{seeds} seeds: mean error {done.mean_error:.2f} %, best "
            f"{best.validation_error:.2f} % (seed {best.seed}, chosen on the validation part)"
        )
    if len(best.errors) > 1:
        lines += [f"task {task:>2}: error {error:6.2f} %" for task, error in best.errors.items()]
        failed = sum(error > FAILED for error in best.errors.values())
        mean = sum(best.errors.values()) / len(best.errors)
        lines.append(
            f"mean over the tasks {mean:.2f} %, {failed} failed (error above {FAILED:g} %)"
        )
    epochs = f"{best.epochs} epochs in {clock(best.seconds)}, the best was number {best.best_epoch}"
    return "\n".join([*lines, f"error {best.validation_error:.2f} %, {epochs}"])


def add_results(path: str | os.PathLike[str], records: Sequence[Mapping[str, Any]]) -> None:
    """Adds records to a JSON file that holds a list of them, and makes it where there is none.

    Args:
        path: The file.
        records: What to add, such as `dataclasses.asdict` of a `Run`.

    Raises:
        ValueError: If the file holds something else.
    """
    path = pathlib.Path(path)
    found: Any = []
    if path.exists():
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
        except ValueError:
            found = None
    if not isinstance(found, list):
        raise ValueError(f"`{path}` holds no JSON list, so that no results can be added to it.")
    with replace_atomically(path) as partial:
        partial.write_text(json.dumps([*found, *records], indent=1) + "\n", encoding="utf-8")


def labelled(model: str, copies: int) -> str:
    """What a model is called beside others, and beside itself with other copies."""
    return f"{model} with {copies} {'copy' if copies == 1 else 'copies'}" if copies else model


def _errors(runs: Sequence[Run], model: str, copies: int) -> list[float]:
    """The errors on the validation part of a model's runs, where there was one."""
    found = [run.validation_error for run in runs if (run.model, run.copies) == (model, copies)]
    return [error for error in found if error is not None]
