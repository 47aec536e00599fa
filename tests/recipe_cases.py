"""A recipe for a small model over stories, and callbacks that end its training early."""

from __future__ import annotations

import dataclasses
import os
import signal

import keras
import numpy as np
from small_models import same_weights

import keras_qa
from keras_qa.training import Recipe, train
from keras_qa.training.results import Run

# All stories have the same length, to compile once.
STORIES = [
    story
    for story in keras_qa.datasets.babi.simulate(task=1, examples=250, seed=0)
    if story.text.count("\n") == 1
][:48]
SMALL = {"embedding_dim": 8, "num_hops": 1, "dropout": 0.2, "noise": 0.1}
RECIPE = Recipe(epochs=4, batch_size=16, learning_rate=0.01)


class Stop(Exception):
    pass


class StopAt(keras.callbacks.Callback):
    """Raises an exception or kills the process in the middle of an epoch."""

    def __init__(self, epoch: int, kill: bool = False) -> None:
        super().__init__()
        self.epoch, self.kill = epoch, kill

    def on_epoch_begin(self, epoch: int, logs=None) -> None:
        self.now = epoch

    def on_train_batch_end(self, step: int, logs=None) -> None:
        if self.now == self.epoch and step == 1:
            if self.kill:
                os.kill(os.getpid(), signal.SIGKILL)
            raise Stop


def small(**arguments):
    settings = {"model": "memory_network", "model_options": SMALL, "recipe": RECIPE}
    settings = {**settings, "verbose": 0, "seed": 3, **arguments}
    questions = settings.pop("questions", 32)
    return train(STORIES[:questions], settings.pop("validation_data", STORIES[32:]), **settings)


def optimizer_state(answerer) -> list[np.ndarray]:
    variables = answerer.model_.optimizer.variables
    return [keras.ops.convert_to_numpy(variable.value) for variable in variables]


def without_time(run: Run) -> Run:
    return dataclasses.replace(run, seconds=0.0)


def assert_same_run(done, expected) -> None:
    # Resumed training is bitwise equal to uninterrupted training on every backend.
    assert same_weights(done.answerer.model_, expected.answerer.model_.get_weights())
    for one, other in zip(*map(optimizer_state, (done.answerer, expected.answerer)), strict=True):
        np.testing.assert_array_equal(one, other)
    assert list(map(without_time, done.runs)) == list(map(without_time, expected.runs))
