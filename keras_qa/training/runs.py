"""Training by a recipe: checkpoints, early stopping, several seeds and models."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import itertools
import json
import os
import pathlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import keras

from keras_qa import _backend
from keras_qa._arguments import check_positive_integers, to_integer, to_keras_path
from keras_qa._terminal import print_plain
from keras_qa.answering.answerer import QuestionAnswerer
from keras_qa.answering.building import build_on_trained, preprocessor_class
from keras_qa.answering.opening import open_model
from keras_qa.answering.reranker import Reranker, is_ranker
from keras_qa.data import babi
from keras_qa.data.augmentation import interchangeable_words, swap_words
from keras_qa.data.files import replace_atomically
from keras_qa.engine import execution
from keras_qa.engine.hard_examples import HardExampleSampling
from keras_qa.engine.qa_model import QAModel
from keras_qa.example import Example, to_examples
from keras_qa.layers import MemoryHops
from keras_qa.training.checkpoints import TrainingState, metric
from keras_qa.training.recipe import Recipe, recipe_for, recipe_to_continue
from keras_qa.training.results import Run, Training, labelled


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
    verbose: int | str = 2,
    answerer_options: Mapping[str, Any] | None = None,
    keep_optimizer: bool = False,
    start: str | os.PathLike[str] | None = None,
    lora_rank: int | None = None,
    lenient: bool = False,
    devices: int | None = None,
) -> Training:
    """Trains an answerer by a recipe, and keeps the best epoch and seed by validation accuracy.

    Training stops if the validation accuracy has not risen for `recipe.patience` epochs; once all
    validation answers are right, if the validation loss has not fallen for three epochs. Without
    validation data, and with `recipe.keep="last"`, training runs all epochs and keeps the last one.
    With `out`, a checkpoint is written beside it after each epoch. A run that was interrupted at
    any moment and is resumed ends with the same weights as an uninterrupted run.

    With validation data, few examples are augmented to the sizes in `recipe.augment_to`: copies
    with similar words swapped are added, see `datasets.augmentation.swap_words`. The models are
    trained with each number of copies in turn, and finally without copies, until all validation
    answers are right. The best answerer is kept.

    Args:
        examples: Training examples, each with an answer.
        validation_data: Examples for the choice of epoch and seed only.
        model: Name of a factory in `keras_qa.models`, or several names. Several models are trained
            in turn until one answers all validation examples right. The best one is kept.
        model_options: Arguments of the factory. A `multiple_choice` whose `backbone` is a ranker
            or a reader, such as `{"backbone": "minilm-rerank"}`, counts as epoch 0, as `start`.
        recipe: A `Recipe` for all models. `None` for the default recipe of each model. A mapping,
            such as `{"epochs": 10}`, replaces fields of the default.
        seed: The first seed.
        seeds: Number of seeds, each trained from the start.
        out: File to save the best answerer to, ending in `.keras`. `None` for no file and no
            checkpoints.
        resume: Whether to resume from the checkpoints beside `out`, if they exist.
        callbacks: Keras callbacks.
        verbose: As in `keras.Model.fit`: 0 is silent, 1 shows a progress bar, 2 prints a line per
            epoch.
        answerer_options: Further arguments of `QuestionAnswerer`, such as
            `{"vectors": "glove.txt"}`.
        keep_optimizer: Whether `out` has the state of the optimizer, see `QuestionAnswerer.save`.
        start: An answerer to train further, instead of a new `model`: what `keras_qa.load` takes,
            such as `"minilm-squad"`. Its own weights count as epoch 0, so that the best epoch is
            never worse on the validation data. A ranker learns from examples with `negatives`, see
            `answering.Reranker.fit`; its accuracy is the share of questions whose text has the
            highest score.
        lora_rank: With `start`, train LoRA of this rank, as in `QuestionAnswerer.fit`. For a file
            of `save_adapter` or a preset this is its own rank: its LoRA is trained further.
        lenient: Whether to leave out questions to a span reader whose answer has no `answer_start`
            and no single place in the text, with a warning. Otherwise these raise a `ValueError`.
        devices: Number of devices of this machine to divide each batch among. It may differ in a
            resumed run. `None` for the backend's default.

    Returns:
        A `Training`: the answerer, and a `Run` for each model, number of copies and seed.

    Raises:
        TypeError: If an example or one of its fields has the wrong type.
        ValueError: If an argument is out of its range, a checkpoint is damaged or from another run,
            or `resume` does not fit the files that exist, or there are fewer `devices`.

    Examples:
        >>> import keras_qa
        >>> from keras_qa import recipes
        >>> stories = keras_qa.datasets.babi.simulate(task=15, examples=100, seed=0)
        >>> known, unseen = stories[:80], stories[80:]
        >>> recipe = {"epochs": 2, "augment_to": ()}
        >>> done = recipes.train(known, unseen, "memory_network", recipe=recipe, verbose=0)
        >>> done.runs[0].epochs, done.runs[0].questions, len(done.runs[0].history["val_loss"])
        (2, 80, 2)
    """
    arguments = locals()
    check_positive_integers(seeds=seeds)
    check_out(out, resume)
    names = [model] if isinstance(model, str) else list(dict.fromkeys(model))
    if start is None and lora_rank is not None:
        raise ValueError("`lora_rank` needs `start`. For a new model, put it in `model_options`.")
    if start is not None:
        if model_options:
            raise ValueError("`model_options` are for a new model. Leave them or `start` out.")
        names = [_label(start)]
    data, valid = to_examples(examples), to_examples(validation_data or [])
    arguments |= {"examples": data, "validation_data": valid, "devices": None}
    with execution.training_on(devices, functools.partial(train, **arguments)):
        begin = _open(start, lora_rank, names, model_options, seed)
        if not is_ranker(begin):
            kind = preprocessor_class(names[0] if begin is None else begin)
            data, valid = (kind.to_training_examples(part, lenient) for part in (data, valid))
        elif answerer_options:
            raise ValueError("`answerer_options` are for readers, but `start` is a ranker.")
        if len(names) > 1 and not valid:
            raise ValueError(
                "Several models need `validation_data`, which the best one is chosen by. "
                f"Received: model={names}."
            )
        recipes = _recipes(names, recipe, model_options, begin, lora_rank)
        seed_range = range(seed, seed + seeds)
        plans, words = _make_plans(recipes, data, seed_range, augments=bool(valid))
        files = _checkpoints(plans, out, resume)
        options = dict(model_options or {}), dict(answerer_options or {})
        runs: list[Run] = []
        best, kept = 0, None
        for plan in plans:
            if plan.seed == seed and runs and runs[best].validation_error == 0:
                break
            rows = data + swap_words(data, plan.copies, plan.seed, words) if plan.copies else data
            if verbose and execution.is_first_process():
                print_plain(f"{labelled(plan.model, plan.copies)}, seed {plan.seed}")
            if runs and begin is not None:
                # The runs before have trained theirs.
                begin = _open(start, lora_rank, names, model_options, plan.seed)
            state, answerer = _fit(
                plan,
                rows,
                valid,
                *options,
                files.get(plan),
                callbacks,
                verbose,
                begin,
                lora_rank,
            )
            run = _summary(answerer, state, plan, len(data), valid)
            runs.append(run)
            if kept is None or _rank(run) > _rank(runs[best]):
                best, kept = len(runs) - 1, answerer
        assert kept is not None
        save_result(kept, out, files.values(), keep_optimizer)
    return Training(kept, runs, best)


def check_out(out: str | os.PathLike[str] | None, resume: bool) -> None:
    """Checks the arguments `out` and `resume` of a training."""
    if out is not None:
        check_keras_path(out)
    elif resume:
        raise ValueError("`resume` needs `out`: the checkpoints are beside that file.")


def save_result(
    answerer: QuestionAnswerer | Reranker,
    out: str | os.PathLike[str] | None,
    checkpoints: Iterable[pathlib.Path],
    keep_optimizer: bool = False,
) -> None:
    """Saves a trained answerer and deletes the checkpoints, in the first process."""
    with execution.single_writer() as writes:
        if out is not None and writes:
            with replace_atomically(out) as partial:
                answerer.save(partial, keep_optimizer)
            for file in checkpoints:
                file.unlink(missing_ok=True)


def check_keras_path(path: str | os.PathLike[str], argument: str = "out") -> None:
    """Raises if a path does not end in `.keras`, or its folder does not exist."""
    folder = to_keras_path(argument, path).resolve().parent
    if not folder.is_dir():
        raise ValueError(f"`{argument}` is in a folder that does not exist: {str(folder)!r}.")


def checkpoint_path(
    out: str | os.PathLike[str], model: str, seed: int, copies: int = 0
) -> pathlib.Path:
    """Returns the path of a run's checkpoint, beside `out`."""
    out = pathlib.Path(out)
    augmented = f".copies{copies}" if copies else ""
    return out.with_name(f"{out.stem}.{model}{augmented}.seed{seed}.checkpoint.npz")


@dataclasses.dataclass(frozen=True)
class _Plan:
    """One run of a training."""

    model: str
    recipe: Recipe
    copies: int
    seed: int


def _make_plans(
    recipes: dict[str, Recipe], data: list[Example], seeds: Iterable[int], augments: bool
) -> tuple[list[_Plan], list[list[str]]]:
    """Returns the runs in order, with and then without copies, and the words to swap in copies."""
    # Without validation data there is no way to tell whether copies help.
    copies = [recipe.copies(len(data)) if augments else [] for recipe in recipes.values()]
    words = interchangeable_words(data) if any(copies) else []
    rounds = [*itertools.zip_longest(*copies)] if words else []
    plans = [
        _Plan(name, recipes[name], count, seed)
        for counts in [*rounds, [0] * len(recipes)]
        for name, count in zip(recipes, counts, strict=True)
        if count is not None
        for seed in seeds
    ]
    return plans, words


def _recipes(
    names: list[str],
    recipe: Recipe | Mapping[str, Any] | None,
    model_options: Mapping[str, Any] | None,
    begin: QAModel | None,
    lora_rank: int | None,
) -> dict[str, Recipe]:
    """Returns the recipe of each model: the given one, or its default with other fields."""
    if isinstance(recipe, Recipe):
        return dict.fromkeys(names, recipe)
    if begin is None:
        defaults = {name: recipe_for(name, model_options) for name in names}
    else:
        rank = lora_rank or (model_options or {}).get("lora_rank")
        defaults = dict.fromkeys(names, recipe_to_continue(rank))
    return {name: dataclasses.replace(own, **(recipe or {})) for name, own in defaults.items()}


def _fit(
    plan: _Plan,
    rows: list[Example],
    valid: list[Example],
    model_options: dict[str, Any],
    answerer_options: dict[str, Any],
    file: pathlib.Path | None,
    callbacks: Sequence[keras.callbacks.Callback],
    verbose: int | str,
    begin: QAModel | None,
    lora_rank: int | None,
) -> tuple[TrainingState, QuestionAnswerer | Reranker]:
    """Trains one model with one seed, from the start or from its checkpoint."""
    recipe = plan.recipe
    settings = {**model_options, **answerer_options}
    if begin is not None:
        settings |= {"lora_rank": lora_rank, "weights": begin.weights_checksum()}
    run = _identity(plan, settings, rows, valid)
    share = recipe.hard_example_share
    sampling = HardExampleSampling(share) if share < 1 else None
    score = None
    if begin is not None and valid:
        score = functools.partial(validation_score, begin, valid, recipe.batch_size)
    state = TrainingState(run, file, recipe.linear_epochs, sampling, score)
    model: Any = plan.model if begin is None else begin
    answerer: QuestionAnswerer | Reranker
    relevance = None
    if is_ranker(begin):
        keras.utils.set_random_seed(plan.seed)
        answerer, relevance = Reranker(model), model.preprocessor.relevance
    else:
        given = model_options if begin is None else None
        answerer = QuestionAnswerer(model, given, seed=plan.seed, **answerer_options)
    answerer.fit(
        rows,
        validation_data=valid or None,
        epochs=state.last_epoch,
        batch_size=recipe.batch_size,
        callbacks=[
            _LinearStart(recipe.linear_epochs),
            *callbacks,
            *([sampling] if sampling else []),
            state,
        ],
        verbose=verbose,
        optimizer=recipe.optimizer,
        initial_epoch=state.epochs,
        steps_per_epoch=recipe.steps_per_epoch,
        lora_rank=lora_rank,
    )
    if relevance is not None and state.notes["best_epoch"] == 0:
        # The weights have not changed, so their calibration still fits.
        model.preprocessor.relevance = relevance
    return state, answerer


def _open(
    start: str | os.PathLike[str] | None,
    lora_rank: int | None,
    names: list[str],
    model_options: Mapping[str, Any] | None,
    seed: int,
) -> QAModel | None:
    """Returns the model whose weights are epoch 0, or `None` for a new one."""
    if start is None:
        if len(names) > 1 or not model_options or model_options.get("backbone") is None:
            return None
        keras.utils.set_random_seed(to_integer("seed", seed, least=0, most=2**32 - 1))
        return build_on_trained(names[0], model_options)
    model: QAModel = open_model(start, lora_rank=lora_rank).model
    return model


def _label(start: str | os.PathLike[str]) -> str:
    """Returns the last part of a path or a name, as the name of the model."""
    return pathlib.PurePath(os.fspath(start).rstrip("/")).name.removesuffix(".keras") or "model"


def validation_score(model: QAModel, valid: list[Example], batch_size: int) -> list[float]:
    """Returns what epochs are compared by: the accuracy, and the loss times -1."""
    assert model.preprocessor is not None
    if is_ranker(model):
        ranked = Reranker(model).evaluate(valid, batch_size)
        return [ranked["exact_match"] / 100, -ranked["loss"]]
    feed, labels = model.preprocessor.for_questions(model).make_training_data(model, valid)
    scores: Any = model.evaluate(feed, labels, batch_size, verbose=0, return_dict=True)
    accuracy = metric(scores, "accuracy")
    return [0.0 if accuracy is None else accuracy, -scores["loss"]]


class _LinearStart(keras.callbacks.Callback):
    """Disables the softmax of `layers.MemoryHops` in the first epochs."""

    def __init__(self, epochs: int) -> None:
        super().__init__()
        self.epochs = epochs

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        for layer in self.model.layers:
            if isinstance(layer, MemoryHops):
                layer.linear.assign(float(epoch < self.epochs))


def _checkpoints(
    plans: Iterable[_Plan], out: str | os.PathLike[str] | None, resume: bool
) -> dict[_Plan, pathlib.Path]:
    """The checkpoint files of the runs. Raises `ValueError` if they do not fit `resume`."""
    if out is None:
        return {}
    files = {plan: checkpoint_path(out, plan.model, plan.seed, plan.copies) for plan in plans}
    left = next((file for file in files.values() if file.exists()), None)
    if left is not None and not resume:
        raise unfinished(left)
    if left is None and resume and os.path.exists(out):
        raise ValueError(
            f"The training of `{out}` is finished: it has no checkpoint to resume. To train it "
            "further, load it by `keras_qa.load` and call `fit`. To train again from the start, "
            "leave out `resume` (`--resume`)."
        )
    return files


def unfinished(file: pathlib.Path) -> ValueError:
    """Returns the error for a checkpoint that is not to be resumed."""
    return ValueError(
        f"`{file}` is the checkpoint of an unfinished run. Resume it by `resume=True` "
        "(`--resume`), or delete it to start again."
    )


def _identity(plan: _Plan, options: dict[str, Any], *parts: list[Example]) -> dict[str, Any]:
    """What must not differ between the run of a checkpoint and the one that resumes it."""
    settings = dataclasses.asdict(plan.recipe)
    # The digest of the data includes the copies.
    del settings["augment_to"]
    digest = hashlib.sha256()
    for part in parts:
        for item in part:
            facts: tuple[Any, ...] = (item.text, item.question, item.answers, item.supporting_facts)
            facts += tuple(filter(None, (item.answer_start, item.choices, item.negatives)))
            if item.all_spans:
                facts += ("all_spans",)
            digest.update(repr(facts).encode())
        digest.update(b"\0")
    return {
        "model": plan.model,
        "model_options": json.dumps(options, default=str, sort_keys=True),
        **settings,
        "seed": plan.seed,
        "backend": _backend.configured(),
        "data": digest.hexdigest()[:16],
    }


def _summary(
    answerer: QuestionAnswerer | Reranker,
    state: TrainingState,
    plan: _Plan,
    questions: int,
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
        model=plan.model,
        seed=plan.seed,
        questions=questions,
        copies=plan.copies,
        validation_questions=len(valid),
        epochs=state.epochs,
        best_epoch=state.epochs if state.notes["best_epoch"] is None else state.notes["best_epoch"],
        seconds=round(state.notes["seconds"], 2),
        backend=_backend.configured(),
        validation_error=round(total / len(valid), 4) if valid else None,
        errors={str(task): round(error, 4) for task, error in errors.items() if task is not None},
        history=history,
    )


def _rank(run: Run) -> tuple[float, float]:
    if run.validation_error is None:
        return (0.0, 0.0)
    return (-run.validation_error, -run.history["val_loss"][max(run.best_epoch, 1) - 1])
