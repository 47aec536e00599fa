"""Results of trainings: as objects, as text and as a JSON file."""

from __future__ import annotations

import dataclasses
import json
import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from keras_qa._terminal import clock
from keras_qa.data.babi import FAILED_TASK_ERROR
from keras_qa.data.files import replace_atomically


@dataclasses.dataclass(frozen=True)
class Run:
    """The result of training one model with one seed.

    Args:
        model: Name of the model's factory.
        seed: The seed.
        questions: Number of training questions, without copies.
        copies: Number of augmented copies of each question.
        validation_questions: Number of validation questions.
        epochs: Number of epochs trained.
        best_epoch: The epoch, from 1, whose weights were kept; 0 for those before the training.
        seconds: Seconds of training and validation, including those before a resume.
        backend: The backend.
        validation_error: Percentage of wrong validation answers, or `None`.
        errors: `validation_error` by bAbI task, if examples name their tasks.
        history: `loss`, `accuracy`, `val_loss` and `val_accuracy` of each epoch.
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
    """The result of `train`.

    Args:
        answerer: The `QuestionAnswerer`, or the `answering.Reranker` if `start` is a ranker, with
            the best validation accuracy.
        runs: A `Run` for each model and seed.
        best: The index of the answerer's run in `runs`.
    """

    answerer: Any
    runs: list[Run]
    best: int

    @property
    def mean_error(self) -> float | None:
        """The mean validation error over the seeds of the best model, in percent."""
        best = self.runs[self.best]
        errors = self._errors(best.model, best.copies)
        return sum(errors) / len(errors) if errors else None

    def summary(self) -> str:
        """Returns the mean error of the seeds, the best error, and the errors by task, as text.

        Needs validation data.
        """
        best = self.runs[self.best]
        lines = []
        kinds = list(dict.fromkeys((run.model, run.copies) for run in self.runs))
        if len(kinds) > 1:
            errors = [f"{labelled(*kind)} {min(self._errors(*kind)):.2f} %" for kind in kinds]
            lines.append(f"best error by model: {', '.join(errors)}")
        seeds = len(self._errors(best.model, best.copies))
        if seeds > 1:
            lines.append(
                f"{seeds} seeds: mean error {self.mean_error:.2f} %, best "
                f"{best.validation_error:.2f} % (seed {best.seed}, chosen on the validation data)"
            )
        if len(best.errors) > 1:
            lines += [
                f"task {task:>2}: error {error:6.2f} %" for task, error in best.errors.items()
            ]
            failed = sum(error > FAILED_TASK_ERROR for error in best.errors.values())
            mean = sum(best.errors.values()) / len(best.errors)
            lines.append(
                f"mean over the tasks {mean:.2f} %, {failed} failed "
                f"(error above {FAILED_TASK_ERROR:g} %)"
            )
        lines.append(
            f"error {best.validation_error:.2f} %, {best.epochs} epochs in {clock(best.seconds)}, "
            f"the best was number {best.best_epoch}"
        )
        return "\n".join(lines)

    def _errors(self, model: str, copies: int) -> list[float]:
        """The validation errors of a model's runs."""
        runs = [run for run in self.runs if (run.model, run.copies) == (model, copies)]
        return [run.validation_error for run in runs if run.validation_error is not None]


def add_results(path: str | os.PathLike[str], records: Sequence[Mapping[str, Any]]) -> None:
    """Appends records, such as `dataclasses.asdict` of a `Run`, to a JSON file with a list."""
    path = pathlib.Path(path)
    before: Any = []
    if path.exists():
        try:
            before = json.loads(path.read_text(encoding="utf-8"))
        except ValueError:
            before = None
    if not isinstance(before, list):
        raise ValueError(
            f"`{path}` has no JSON list to append results to. Delete it, or name another file."
        )
    with replace_atomically(path) as partial:
        partial.write_text(json.dumps([*before, *records], indent=1) + "\n", encoding="utf-8")


def labelled(model: str, copies: int) -> str:
    """The name of a model with its number of copies, for messages."""
    return f"{model} with {copies} {'copy' if copies == 1 else 'copies'}" if copies else model
