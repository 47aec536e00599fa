"""How to train: one recipe for every task, with checkpoints, early stopping and several seeds."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import os
import pathlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import keras
import numpy as np

from keras_qa import _backend
from keras_qa.answerer import QuestionAnswerer
from keras_qa.checkpoints import TrainingState, replacing
from keras_qa.datasets import babi
from keras_qa.example import Example, to_examples
from keras_qa.progress import Progress, clock
from keras_qa.schedules import LinearStart, WarmupLinearDecay

# A task is failed above this error, in percent (Weston et al. 2015, arXiv:1502.05698).
FAILED = 5.0


@dataclasses.dataclass(frozen=True)
class Recipe:
    """How long and how fast to train.

    Adam, or AdamW where there is a weight decay, whose learning rate rises linearly and then falls
    as half of a cosine (Loshchilov & Hutter 2017, arXiv:1608.03983), or linearly.

    Args:
        epochs: Number of epochs at most.
        batch_size: Number of examples a step.
        learning_rate: The highest learning rate.
        warmup: Share of all steps in which the learning rate rises.
        weight_decay: Weight decay of AdamW. 0 for Adam. Biases, gains and what
            tells places apart are left out.
        clip_norm: Largest norm of the gradients of all weights together.
        patience: Training stops once the accuracy on the validation part has
            not risen for this many epochs.
        decay: How the learning rate falls: `"cosine"` or `"linear"`.
        linear_start: Share of the epochs, the first ones, in which memory hops
            attend without a softmax, see `layers.MemoryHops`. They do not
            count for `patience`.

    Raises:
        ValueError: If an argument is out of its range.
    """

    epochs: int = 100
    batch_size: int = 64
    learning_rate: float = 1.5e-3
    warmup: float = 0.05
    weight_decay: float = 0.0
    clip_norm: float = 1.0
    patience: int = 25
    decay: str = "cosine"
    linear_start: float = 0.0

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "patience"):
            value = getattr(self, name)
            if not isinstance(value, (int, np.integer)) or value < 1:
                raise ValueError(f"`{name}` must be a positive integer. Received: {name}={value}.")
        for name in ("learning_rate", "clip_norm"):
            if not getattr(self, name) > 0:
                raise ValueError(
                    f"`{name}` must be positive. Received: {name}={getattr(self, name)}."
                )
        for name in ("warmup", "linear_start"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(
                    f"`{name}` must be at least 0 and below 1. "
                    f"Received: {name}={getattr(self, name)}."
                )
        if self.weight_decay < 0:
            raise ValueError(
                f"`weight_decay` must not be negative. Received: weight_decay={self.weight_decay}."
            )
        if self.decay not in ("cosine", "linear"):
            raise ValueError(
                f'`decay` must be "cosine" or "linear". Received: decay={self.decay!r}.'
            )

    @property
    def linear_epochs(self) -> int:
        """Number of epochs in which memory hops attend without a softmax."""
        return int(self.linear_start * self.epochs)

    def steps(self, examples: int) -> int:
        """Number of batches an epoch."""
        return math.ceil(examples / self.batch_size)

    def schedule(self, examples: int) -> keras.optimizers.schedules.LearningRateSchedule:
        """The learning rate at each step, for a training part of so many examples.

        Example:

        >>> from keras_qa.recipes import Recipe
        >>> recipe = Recipe(epochs=10, batch_size=10, learning_rate=0.1, warmup=0.2)
        >>> rate = recipe.schedule(examples=100)
        >>> tuple(round(float(rate(step)), 3) for step in (0, 10, 20, 60, 100))
        (0.0, 0.05, 0.1, 0.05, 0.0)
        """
        total = self.epochs * self.steps(examples)
        rise = int(self.warmup * total)
        if self.decay == "linear":
            return WarmupLinearDecay(self.learning_rate, total, rise)
        return keras.optimizers.schedules.CosineDecay(
            0.0 if rise else self.learning_rate,
            max(total - rise, 1),
            warmup_target=self.learning_rate if rise else None,
            warmup_steps=rise,
        )

    def optimizer(self, examples: int) -> keras.optimizers.Optimizer:
        """Makes the optimizer for a training part of so many examples."""
        rate: Any = self.schedule(examples)
        if not self.weight_decay:
            return keras.optimizers.Adam(rate, global_clipnorm=self.clip_norm)
        optimizer = keras.optimizers.AdamW(
            rate, weight_decay=self.weight_decay, global_clipnorm=self.clip_norm
        )
        # What scales or places others is no size that a model could overfit by.
        names = ["bias", "gamma", "beta", "places", "distances", "signal"]
        optimizer.exclude_from_weight_decay(var_names=names)
        return optimizer


DEFAULT = Recipe()

# For a `universal_transformer`, which without the decay learns bAbI's tasks 2 and 17 by heart, and
# with it guesses at task 6 for 35 epochs before it finds the rule; and for a `memory_network`,
# whose hops find no chain with a decay.
REASONING = Recipe(weight_decay=0.5, patience=50)
MEMORY = Recipe(linear_start=0.2)

# For a `span_reader` from scratch, and for one on a pretrained backbone.
READING = Recipe(epochs=12, batch_size=32, learning_rate=2e-3, clip_norm=5.0, patience=3)
FINE_TUNING = Recipe(
    epochs=2,
    batch_size=16,
    learning_rate=1e-4,
    warmup=0.1,
    weight_decay=0.01,
    patience=2,
    decay="linear",
)


def recipe_for(model: str, model_options: Mapping[str, Any] | None = None) -> Recipe:
    """The recipe for a model where nothing else is said.

    Args:
        model: Name of its factory.
        model_options: Arguments for the factory.

    Returns:
        A `Recipe`.
    """
    if model == "span_reader":
        return READING if (model_options or {}).get("backbone") is None else FINE_TUNING
    return {"universal_transformer": REASONING, "memory_network": MEMORY}.get(model, DEFAULT)


@dataclasses.dataclass(frozen=True)
class Run:
    """What one seed came to.

    Args:
        model: Name of the model's factory.
        seed: The seed.
        questions: Number of questions trained on.
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
        errors = _errors(self.runs, self.runs[self.best].model)
        return sum(errors) / len(errors) if errors else None


def train(
    examples: Iterable[Example | Mapping[str, Any]],
    validation_data: Iterable[Example | Mapping[str, Any]] | None = None,
    model: str | Sequence[str] = "universal_transformer",
    model_options: Mapping[str, Any] | None = None,
    recipe: Recipe | Mapping[str, Any] | None = None,
    seed: int = 0,
    seeds: int = 1,
    out: str | os.PathLike[str] | None = None,
    resume: bool = False,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    verbose: int = 1,
    answerer_options: Mapping[str, Any] | None = None,
) -> Training:
    """Trains an answerer by a recipe, and keeps the epoch and the seed that do best on validation.

    Training stops when all answers of the validation part are right, or when their number has not
    risen for `recipe.patience` epochs. Without a validation part it takes all epochs, and keeps
    the last. With `out` the whole state is written beside it after each epoch. A run that was
    killed, at any moment, and is resumed ends in the weights of an unbroken one.

    Args:
        examples: Examples to train on, each with an answer.
        validation_data: Examples to choose the epoch and the seed by. Nothing
            else is learned from them.
        model: Name of a factory in `keras_qa.models`. Of several names, one
            after the other is trained until one answers all of the validation
            part right; the best is kept.
        model_options: Arguments for the factory.
        recipe: How long and how fast to train. `None` for what `recipe_for`
            gives for each model; a mapping, such as `{"epochs": 10}`, for
            that with some of its fields replaced.
        seed: The first seed.
        seeds: Number of seeds, each trained from the start.
        out: File to save the best answerer to, ending in `.keras`. `None`
            saves nothing, and writes no checkpoints.
        resume: Whether to go on from the checkpoints beside `out`, where there
            are any.
        callbacks: Keras callbacks.
        verbose: 0 is silent, 1 prints a line an epoch.
        answerer_options: Further arguments of `QuestionAnswerer`, such as
            `{"vectors": "glove.txt"}`.

    Returns:
        A `Training`: the answerer, and a `Run` for each model and seed.

    Raises:
        TypeError: If an example is none, or a field has the wrong type.
        ValueError: If an argument is out of its range, a checkpoint is damaged
            or of another run, or there is one and `resume` is not set.

    Example:

    >>> import keras_qa
    >>> from keras_qa.recipes import Recipe, train
    >>> stories = keras_qa.datasets.babi.simulate(task=1, examples=100, seed=0)
    >>> done = train(stories[:80], stories[80:], recipe=Recipe(epochs=2), verbose=0)
    >>> done.runs[0].epochs, done.runs[0].questions, len(done.runs[0].history["val_loss"])
    (2, 80, 2)
    """
    if not isinstance(seeds, int) or seeds < 1:
        raise ValueError(f"`seeds` must be a positive integer. Received: seeds={seeds!r}.")
    if resume and out is None:
        raise ValueError("`resume` needs `out`: checkpoints stand beside it.")
    if out is not None:
        check_out(out)
    further = dict(answerer_options or {})
    options = {**(model_options or {}), **further}
    data = to_examples(examples)
    valid = to_examples(validation_data) if validation_data is not None else []
    names = [model] if isinstance(model, str) else list(model)
    if len(names) > 1 and not valid:
        raise ValueError(
            "Several models are chosen from by `validation_data`, which is missing. "
            f"Received: model={names}."
        )
    planned = [(name, number) for name in names for number in range(seed, seed + seeds)]
    files = {each: checkpoint_path(out, *each) for each in planned} if out is not None else {}
    left = next((file for file in files.values() if file.exists()), None)
    if left is not None and not resume:
        raise ValueError(
            f"`{left}` is of a run that did not end. Go on with it by `resume=True` "
            "(`--resume`), or delete it to start anew."
        )
    runs: list[Run] = []
    best, kept = 0, None
    for name, number in planned:
        if number == seed and runs and runs[best].validation_error == 0:
            break
        settings = recipe
        if not isinstance(settings, Recipe):
            settings = dataclasses.replace(recipe_for(name, model_options), **(settings or {}))
        run = _identity(name, options, settings, number, data, valid)
        state = TrainingState(run, files.get((name, number)), settings.linear_epochs)
        label = f"{name}  " * (len(names) > 1) + f"seed {number}  "
        shown = [Progress(settings.epochs, settings.steps(len(data)), label)]
        answerer = QuestionAnswerer(name, model_options, seed=number, **further)
        answerer.fit(
            data,
            valid or None,
            epochs=state.last_epoch,
            batch_size=settings.batch_size,
            callbacks=[
                LinearStart(settings.linear_epochs),
                *callbacks,
                *(shown if verbose else []),
                state,
            ],
            verbose=0,
            optimizer=settings.optimizer,
            initial_epoch=state.epochs,
        )
        runs.append(_summary(answerer, state, data, valid))
        if kept is None or _rank(runs[-1]) > _rank(runs[best]):
            best, kept = len(runs) - 1, answerer
    assert kept is not None
    if out is not None:
        with replacing(out) as partial:
            kept.save(partial)
        for file in files.values():
            file.unlink(missing_ok=True)
    return Training(kept, runs, best)


def summary(done: Training) -> str:
    """Says in a few lines what the seeds came to, as the papers do: the mean, the best, by task.

    Args:
        done: What `train` gave, with a validation part.

    Returns:
        Lines of text.
    """
    best = done.runs[done.best]
    lines = []
    models = list(dict.fromkeys(run.model for run in done.runs))
    if len(models) > 1:
        errors = [f"{name} {min(_errors(done.runs, name)):.2f} %" for name in models]
        lines.append(f"best error by model: {', '.join(errors)}")
    seeds = sum(run.model == best.model for run in done.runs)
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


def _errors(runs: Sequence[Run], model: str) -> list[float]:
    """The errors on the validation part of a model's runs, where there was one."""
    found = [run.validation_error for run in runs if run.model == model]
    return [error for error in found if error is not None]


def check_out(out: str | os.PathLike[str]) -> None:
    """Raises where an answerer cannot be saved to `out`.

    Raises:
        ValueError: If the name does not end in `.keras`, or there is no such folder.
    """
    if not str(out).endswith(".keras"):
        raise ValueError(f"`out` must end in `.keras`. Received: out={str(out)!r}.")
    folder = pathlib.Path(out).resolve().parent
    if not folder.is_dir():
        raise ValueError(f"`out` is in a folder that does not exist: {str(folder)!r}.")


def checkpoint_path(out: str | os.PathLike[str], model: str, seed: int) -> pathlib.Path:
    """Where the checkpoint of a model and a seed stands, while `train` works on `out`."""
    out = pathlib.Path(out)
    return out.with_name(f"{out.stem}.{model}.seed{seed}.checkpoint.npz")


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
    with replacing(path) as partial:
        partial.write_text(json.dumps([*found, *records], indent=1) + "\n", encoding="utf-8")


def _identity(
    model: str,
    options: Mapping[str, Any] | None,
    recipe: Recipe,
    seed: int,
    *parts: list[Example],
) -> dict[str, Any]:
    digest = hashlib.sha256()
    for part in parts:
        for item in part:
            facts: tuple[Any, ...] = (item.text, item.question, item.answers, item.supporting_facts)
            if item.answer_start:
                facts += (item.answer_start,)
            digest.update(repr(facts).encode())
        digest.update(b"\0")
    return {
        "model": model,
        "model_options": json.dumps(dict(options or {}), default=str, sort_keys=True),
        **dataclasses.asdict(recipe),
        "seed": seed,
        "backend": _backend.configured(),
        "data": digest.hexdigest()[:16],
    }


def _summary(
    answerer: QuestionAnswerer,
    state: TrainingState,
    data: list[Example],
    valid: list[Example],
) -> Run:
    parts: dict[int | None, list[Example]] = {}
    for item in valid:
        parts.setdefault(babi.task_of(item), []).append(item)
    errors = {
        task: 100.0 - answerer.evaluate(part, verbose=0)["exact_match"]
        for task, part in parts.items()
    }
    total = sum(errors[task] * len(part) for task, part in parts.items())
    history: dict[str, list[float]] = {}
    for epoch in state.notes["history"]:
        for name, value in epoch.items():
            history.setdefault(name, []).append(round(value, 6))
    return Run(
        model=state.run["model"],
        seed=state.run["seed"],
        questions=len(data),
        validation_questions=len(valid),
        epochs=state.epochs,
        best_epoch=state.notes["best_epoch"] or state.epochs,
        seconds=round(state.notes["seconds"], 2),
        backend=_backend.configured(),
        validation_error=round(total / len(valid), 4) if valid else None,
        errors={str(task): round(error, 4) for task, error in errors.items() if task is not None},
        history=history,
    )


def _rank(run: Run) -> tuple[float, float]:
    if run.validation_error is None:
        return (0.0, 0.0)
    return (-run.validation_error, -run.history["val_loss"][run.best_epoch - 1])
