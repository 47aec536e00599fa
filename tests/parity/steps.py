"""What one backend does: PyTorch saves models before their training, each trains them."""

import functools
import pathlib

import keras
import numpy as np
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

# With this many, TensorFlow trains by XLA and PyTorch by recordings.
STEPS, ROWS = 24, 8
FOLDER = pathlib.Path("steps")


class Losses(keras.callbacks.Callback):
    """The loss after each step of an epoch: the mean over its steps so far."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[float] = []

    def on_train_batch_end(self, step: int, logs=None) -> None:
        self.found.append(logs["loss"])


def windows(model: keras.Model) -> tuple[dict, dict]:
    # By the model's own tokenizer: the tests' is trained anew, and differs, in each process.
    found = model.task.vectorizer(MARKED * 32, labels=True)
    return found.feed, {"start": found.spans[..., 0], "end": found.spans[..., 1]}


def told(model: keras.Model) -> tuple[list, dict]:
    feed, labels, facts = stories(96)
    return feed, {"answer": labels, "support": facts}


KINDS = {
    "classifier": (small_model, lambda model: padded_batch(96)),
    "memory-network": (functools.partial(memory, noise=0.0), lambda model: stories(96)[:2]),
    "universal-transformer": (
        functools.partial(universal, supporting_facts=True, halting=True, noise=0.0),
        told,
    ),
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
        model, losses = keras.saving.load_model(FOLDER / f"{kind}.keras"), Losses()
        # Two epochs of twelve batches of one shape, as programs are compiled for each.
        model.fit(
            *data(model), batch_size=ROWS, epochs=2, callbacks=[losses], shuffle=False, verbose=0
        )
        assert len(losses.found) == STEPS
        found[kind] = np.array(losses.found)
    np.savez(FOLDER / f"{keras.config.backend()}.npz", **found)
