"""What each process does: `python work.py FUNCTION FOLDER ...`. Results are in files by rank."""

from __future__ import annotations

import dataclasses
import os
import pathlib
import sys
from collections.abc import Iterator

import keras
import numpy as np
import torch
import torch.distributed as dist
from device_cases import BATCH_SIZE, MODELS, ROWS, train
from recipe_cases import RECIPE, SMALL, STORIES, StopAt, optimizer_state, small
from small_models import padded_batch, same_weights, small_model

import keras_qa
from keras_qa.integrations.torch import distribute

RANK = os.environ.get("RANK", "0")
Results = dict[str, np.ndarray]


def save(folder: pathlib.Path, results: Iterator[tuple[str, Results]]) -> None:
    """Saves the results of training in several processes, which the block ends."""
    np.random.seed(5 + int(RANK))
    with distribute():
        for name, arrays in results:
            np.savez(folder / f"{name}-{RANK}.npz", **arrays)
    assert not dist.is_initialized()


def models(folder: pathlib.Path) -> Iterator[tuple[str, Results]]:
    """Trains each model with SGD, with and without weights of the rows, and with Adam."""
    for make in MODELS:
        for name, optimizer, weighted in (
            ("sgd", keras.optimizers.SGD(0.02), False),
            ("weighted", keras.optimizers.SGD(0.02), True),
            ("adam", keras.optimizers.Adam(0.001), False),
        ):
            subfolder = folder / f"{make.__name__}-{name}-{RANK}"
            subfolder.mkdir()
            yield f"{make.__name__}-{name}", train(make, subfolder, optimizer, weighted)


class Batches(keras.utils.PyDataset):
    """A data source with uneven batches."""

    def __len__(self) -> int:
        return 4

    def __getitem__(self, index: int):
        feed, labels = padded_batch(5 * index + 1, seed=index)
        return tuple(feed), labels


def tagger(**options) -> keras_qa.models.QAModel:
    """A model with a mask, of which the loss divides by the words."""
    keras.utils.set_random_seed(0)
    words = keras.Input((None,), dtype="int32", name="words")
    vectors = keras.layers.Embedding(20, 6, mask_zero=True)(words)
    outputs = keras.layers.Dense(3, activation="softmax", **options)(vectors)
    return keras_qa.models.QAModel([words], outputs)


def ways(folder: pathlib.Path) -> Iterator[tuple[str, Results]]:
    """Trains in other ways: other data, losses, optimizers and layers."""

    def fit(model: keras.Model, *data: object, **options) -> Results:
        np.random.seed(0)
        logs = model.fit(*data, epochs=3, verbose=0, **options).history
        weights = {f"weights {n}": array for n, array in enumerate(model.get_weights())}
        return {**weights, **{f"logs {name}": np.array(values) for name, values in logs.items()}}

    sgd = keras.optimizers.SGD
    rows = {"batch_size": BATCH_SIZE}
    data = padded_batch(ROWS)
    yield "numpy", {"numbers": np.random.random(3)}
    own_start = small_model(optimizer=sgd(0.1))
    if RANK != "0":
        own_start.set_weights([array + 1 for array in own_start.get_weights()])
    yield "own start", fit(own_start, *data, **rows)
    shuffled = small_model(optimizer=sgd(0.1))
    columns = map(torch.tensor, (*data[0], data[1]))
    loader = torch.utils.data.DataLoader(
        torch.utils.data.TensorDataset(*columns), BATCH_SIZE, shuffle=True
    )
    yield "loader", fit(shuffled, loader)
    yield "source", fit(small_model(optimizer=sgd(0.1)), Batches(), shuffle=False)
    yield "in order", fit(small_model(optimizer=sgd(0.1)), *data, shuffle=False, **rows)
    yield "split", fit(small_model(optimizer=sgd(0.1)), *data, validation_split=0.3, **rows)
    classes = {number: number / 3 for number in range(7)}
    yield "classes", fit(small_model(optimizer=sgd(0.1)), *data, class_weight=classes, **rows)
    accumulated = sgd(0.1, gradient_accumulation_steps=3)
    yield "accumulated", fit(small_model(optimizer=accumulated), *data, **rows)
    scaled = keras.optimizers.LossScaleOptimizer(sgd(0.1), initial_scale=8.0)
    yield "scaled", fit(small_model(optimizer=scaled), *data, **rows)
    frozen = small_model(optimizer=sgd(0.1))
    frozen.layers[2].trainable = False
    yield "frozen", fit(frozen, *data, **rows)
    rng = np.random.default_rng(0)
    words = rng.integers(1, 20, (ROWS, 8)) * (np.arange(8) < rng.integers(2, 9, ROWS)[:, None])
    tags = rng.integers(0, 3, (ROWS, 8))
    for name, reduction in (("masked", "sum_over_batch_size"), ("sum", "sum")):
        model = tagger(kernel_regularizer=keras.regularizers.L2(0.1))
        loss = keras.losses.SparseCategoricalCrossentropy(reduction=reduction)
        model.compile(sgd(0.01), loss, metrics=["accuracy"])
        yield name, fit(model, words, tags, **rows)
    yield "rows", numbered_rows()


def numbered_rows() -> Results:
    """Trains a vector for each row for one epoch."""
    keras.utils.set_random_seed(0)
    row = keras.Input((1,), dtype="int32", name="row")
    vectors = keras.layers.Embedding(ROWS + 1, 3, embeddings_initializer="zeros")(row)
    outputs = keras.layers.Softmax()(keras.layers.Flatten()(vectors))
    model = keras_qa.models.QAModel([row], outputs)
    model.compile(keras.optimizers.SGD(1.0), "sparse_categorical_crossentropy")
    rows = np.arange(1, ROWS + 1)
    model.fit(rows[:, None], rows % 3, batch_size=BATCH_SIZE, verbose=0)
    return {"vectors": model.get_weights()[0]}


class Seeds(keras.callbacks.Callback):
    """Keeps the random states after the first step of each epoch."""

    def __init__(self) -> None:
        super().__init__()
        self.seeds: list[list[np.ndarray]] = []
        self.torch_seeds: list[int] = []

    def on_train_batch_end(self, step: int, logs=None) -> None:
        if step == 0:
            variables = [v for v in self.model.variables if v.name == "seed_generator_state"]
            self.seeds.append([keras.ops.convert_to_numpy(v.value).copy() for v in variables])
            self.torch_seeds.append(torch.initial_seed())


def dropout(folder: pathlib.Path) -> Iterator[tuple[str, Results]]:
    """Trains with dropout. Keeps the weights, and the random states of each process."""
    model = small_model(dropout=0.5)
    seeds = Seeds()
    model.fit(*padded_batch(ROWS), epochs=2, callbacks=[seeds], verbose=0)
    states = {"seeds": np.array(seeds.seeds), "torch": np.array(seeds.torch_seeds)}
    np.savez(folder / f"seeds-{RANK}.npz", **states)
    yield "dropout", {f"weights {n}": array for n, array in enumerate(model.get_weights())}


def different(folder: pathlib.Path) -> Iterator[tuple[str, Results]]:
    """Gives each process other labels, and keeps the error."""
    model = small_model()
    before = model.get_weights()
    feed, labels = padded_batch(ROWS)
    try:
        model.fit(feed, np.roll(labels, int(RANK)), verbose=0)
    except ValueError as error:
        yield "different", {"error": np.array(str(error))}
    assert same_weights(model, before)
    # Alone it trains as before.
    assert not model._divides
    if RANK == "0":
        model.train_on_batch(feed, labels)
        model.evaluate(feed, labels, verbose=0)


def recipe(folder: pathlib.Path, epoch: str = "", rate: str = "") -> Iterator[tuple[str, Results]]:
    """Trains or resumes. The last process is killed in an epoch, and the others keep the error."""
    options = dict(SMALL, dropout=0.0, noise=0.0) if rate else SMALL
    recipe = dataclasses.replace(RECIPE, learning_rate=float(rate)) if rate else RECIPE
    last = int(os.environ.get("WORLD_SIZE", "1")) - 1
    stops = [StopAt(int(epoch), kill=True)] if epoch and str(last) == RANK else []
    out = folder / "qa.keras"
    try:
        done = small(
            out=out, resume=True, callbacks=stops, verbose=2, model_options=options, recipe=recipe
        )
    except ConnectionError as error:
        (folder / f"error-{RANK}.txt").write_text(str(error))
        return
    assert not list(folder.glob("*.checkpoint.npz"))
    assert same_weights(keras_qa.load(out).model_, done.answerer.model_.get_weights())
    answers = done.answerer.answer(STORIES, verbose=0)
    yield (
        "recipe",
        {
            **{f"weights {n}": array for n, array in enumerate(done.answerer.model_.get_weights())},
            **{f"optimizer {n}": array for n, array in enumerate(optimizer_state(done.answerer))},
            **{f"logs {name}": np.array(logs) for name, logs in done.runs[0].history.items()},
            "answers": np.array([answer.text for answer in answers]),
            "scores": np.array([answer.score for answer in answers]),
        },
    )


def without_a_block(folder: pathlib.Path) -> None:
    distribute()
    small_model().fit(*padded_batch(ROWS), verbose=2)


if __name__ == "__main__":
    folder = pathlib.Path(sys.argv[2])
    results = globals()[sys.argv[1]](folder, *sys.argv[3:])
    if results is not None:
        save(folder, results)
