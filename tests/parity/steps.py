"""What one backend does: PyTorch saves models before their training, each trains them."""

import functools
import pathlib

import keras
import numpy as np
from as_keras import ROWS, STEPS, Logs
from small_backbones import MARKED, backbone_reader
from small_models import (
    memory,
    padded_batch,
    reader,
    small_model,
    stories,
    universal,
    words_to_find,
)

FOLDER = pathlib.Path("steps")


def windows(model: keras.Model) -> tuple[dict, dict]:
    # By the model's own tokenizer: the tests' is trained anew, and differs, in each process.
    found = model.preprocessor.vectorizer(MARKED * 32, labels=True)
    return found.feed, {"start": found.spans[..., 0], "end": found.spans[..., 1]}


def told(model: keras.Model) -> tuple[list, dict]:
    feed, labels, facts = stories(96)
    return feed, {"answer": labels, "support": facts}


KINDS = {
    "classifier": (small_model, lambda model: padded_batch(96)),
    "memory-network": (functools.partial(memory, noise=0.0), lambda model: stories(96)[:2]),
    "universal-transformer": (functools.partial(universal, supporting_facts=True), told),
    "reader": (functools.partial(reader, dropout=0.0), lambda model: words_to_find(96)),
    "backbone": (functools.partial(backbone_reader, dropout=0.0), windows),
}


def start() -> None:
    if keras.config.backend() != "torch":
        return
    FOLDER.mkdir()
    for kind, (make, _) in KINDS.items():
        keras.utils.set_random_seed(0)
        # Adam squares each lookup's gradient on TensorFlow, and their sum on the others.
        model = make(optimizer=keras.optimizers.SGD(0.05, momentum=0.9))
        model.save(FOLDER / f"{kind}.keras")


def train() -> None:
    found = {}
    for kind, (_, data) in KINDS.items():
        model, logs = keras.saving.load_model(FOLDER / f"{kind}.keras"), Logs()
        # Two epochs of twelve batches of one shape, as programs are compiled for each.
        model.fit(
            *data(model), batch_size=ROWS, epochs=2, callbacks=[logs], shuffle=False, verbose=0
        )
        assert len(logs.steps) == STEPS
        found[kind] = np.array([step["loss"] for step in logs.steps])
    np.savez(FOLDER / f"{keras.config.backend()}.npz", **found)
