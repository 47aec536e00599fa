"""Gradients of several batches make one update, as if they were one batch."""

import keras
import numpy as np
from as_keras import ROWS, STEPS, twins
from small_models import batch

import keras_qa
from keras_qa.recipes import Recipe

TOGETHER = 3
UPDATES = STEPS // TOGETHER + 2


def recipe(steps: int) -> Recipe:
    """For batches of which so many make an update."""
    return Recipe(
        epochs=UPDATES,
        batch_size=TOGETHER * ROWS // steps,
        learning_rate=0.03,
        warmup=0.25,
        weight_decay=0.1,
        clip_norm=0.5,
        decay="linear",
        gradient_accumulation_steps=steps,
    )


def small() -> keras_qa.models.QAModel:
    """Which of seven a bag of words is about."""
    keras.utils.set_random_seed(1)
    ids = keras.Input((None,), dtype="int32", name="text")
    # TensorFlow clips the gradients of a word before they are added up, where it accumulates none.
    words = keras.layers.Embedding(50, 4, "normal", trainable=False)(ids)
    hidden = keras.layers.Dense(5, activation="tanh")(keras.layers.GlobalAveragePooling1D()(words))
    return keras_qa.models.QAModel([ids], keras.layers.Dense(7, activation="softmax")(hidden))


def trained(model: keras.Model, steps: int) -> list[np.ndarray]:
    (text, _), labels = batch(TOGETHER * ROWS)
    optimizer = recipe(steps).optimizer(TOGETHER * ROWS)
    model.compile(optimizer, "sparse_categorical_crossentropy")
    size = TOGETHER * ROWS // steps
    settings = {"batch_size": size, "epochs": UPDATES, "shuffle": False, "verbose": 0}
    model.fit([text], labels, **settings)
    return [keras.ops.convert_to_numpy(variable.value) for variable in model.trainable_variables]


def test_weights_are_those_of_large_batches() -> None:
    model, plain = twins(small)
    before = [keras.ops.convert_to_numpy(v.value).copy() for v in model.trainable_variables]
    expected = trained(plain, 1)
    got = trained(model, TOGETHER)
    for one, other, start in zip(got, expected, before, strict=True):
        np.testing.assert_allclose(one, other, atol=2e-6)
        assert np.abs(one - start).max() > 0.01
    # The rate is where it was to be at the end of training.
    assert float(model.optimizer.learning_rate) == 0.0
    assert int(model.optimizer.iterations) == UPDATES
