"""Small models that are trained on several devices, and what training gives."""

from __future__ import annotations

import pathlib
from typing import Any

import keras
import numpy as np
from small_checkpoints import copy
from small_models import memory, padded_batch, reader, small_model, stories, universal
from small_readers import QUIET

import keras_qa
from keras_qa.engine.compiling import recompile

# The last batch of an epoch has two rows, which do not divide among 4 devices.
ROWS, BATCH_SIZE, EPOCHS = 130, 32, 10


def classifier(folder: pathlib.Path):
    return small_model(), *padded_batch(ROWS)


def memory_network(folder: pathlib.Path):
    # On TensorFlow each device draws its own random numbers.
    return memory(noise=0.0, dropout=0.0), *stories(ROWS)[:2]


def universal_transformer(folder: pathlib.Path):
    return universal(), *stories(ROWS)[:2]


def reader_from_scratch(folder: pathlib.Path):
    rng = np.random.default_rng(0)
    text = rng.integers(2, 20, (ROWS, 10)) * (np.arange(10) < rng.integers(5, 11, ROWS)[:, None])
    labels = {"start": rng.integers(0, 5, ROWS), "end": rng.integers(0, 5, ROWS)}
    question = rng.integers(2, 20, (ROWS, 3))
    return reader(dropout=0.0), {"text": text, "question": question}, labels


def reader_on_encoder(folder: pathlib.Path):
    model = keras_qa.models.span_reader(
        backbone=copy("bert", folder / "bert", **QUIET), dropout=0.0
    )
    rng = np.random.default_rng(0)
    lengths = rng.integers(7, 13, ROWS)
    mask = np.arange(12) < lengths[:, None]
    ids = rng.integers(10, 200, (ROWS, 12)) * mask
    # Separators, after the question and after the text.
    ids[:, 3] = ids[np.arange(ROWS), lengths - 1] = 3
    feed = {
        "token_ids": ids,
        "segment_ids": np.tile(np.arange(12) > 3, (ROWS, 1)) & mask,
        "padding_mask": mask,
    }
    feed = {name: feed[name].astype("int32") for name in (x.name for x in model.inputs)}
    return model, feed, {"start": rng.integers(4, 6, ROWS), "end": rng.integers(4, 6, ROWS)}


MODELS = [classifier, universal_transformer, reader_from_scratch, reader_on_encoder]


def train(
    make, folder: pathlib.Path, optimizer: keras.optimizers.Optimizer, weighted: bool = False
):
    """Trains for 50 steps. Returns weights, outputs, logs and scores as one dict of arrays."""
    keras.utils.set_random_seed(0)
    model, x, y = make(folder)
    recompile(model, optimizer)
    weights = np.random.default_rng(1).integers(0, 3, ROWS) / 2 if weighted else None
    np.random.seed(0)
    history = model.fit(
        x,
        y,
        batch_size=BATCH_SIZE,
        epochs=EPOCHS,
        sample_weight=weights,
        validation_data=keras.tree.map_structure(lambda array: array[:70], (x, y)),
        verbose=0,
    ).history
    scores: Any = model.evaluate(
        x, y, batch_size=50, sample_weight=weights, verbose=0, return_dict=True
    )
    outputs = keras.tree.flatten(model.predict(x, verbose=0))
    powers = [np.exp(array - array.max(axis=-1, keepdims=True)) for array in outputs]
    return {
        **{f"weights {number}": array for number, array in enumerate(model.get_weights())},
        **{f"outputs {number}": array for number, array in enumerate(outputs)},
        **{
            # Without a constant in all logits, of which the gradient is 0.
            f"probabilities {number}": array / array.sum(axis=-1, keepdims=True)
            for number, array in enumerate(powers)
        },
        **{f"logs {name}": np.array(values) for name, values in history.items()},
        **{f"scores {name}": np.array(value) for name, value in scores.items()},
    }


def assert_same(results: dict[str, np.ndarray], expected: dict[str, np.ndarray], *parts: str):
    """Asserts that results agree within 1e-5, of the given parts only."""
    assert results.keys() == expected.keys()
    for name, array in expected.items():
        if not parts or name.split()[0] in parts:
            np.testing.assert_allclose(results[name], array, rtol=0, atol=1e-5, err_msg=name)
