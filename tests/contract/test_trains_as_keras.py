"""A model trains as `keras.Model` does, for few steps and for many."""

from __future__ import annotations

import warnings

import keras
import numpy as np
import pytest
from as_keras import (
    BACKEND,
    ROWS,
    STEPS,
    assert_trains_as_keras,
    fitted,
    keras_model,
    small,
    trained,
    twins,
)
from small_models import batch

import keras_qa

OPTIMIZERS = {
    "sgd": lambda: keras.optimizers.SGD(0.1, momentum=0.9, nesterov=True),
    "adam": lambda: keras.optimizers.Adam(0.01, global_clipnorm=1.0),
    "rmsprop": lambda: keras.optimizers.RMSprop(0.01),
    "lion": lambda: keras.optimizers.Lion(0.001),
}


@pytest.mark.parametrize(
    "name", ["adam", *(pytest.param(n, marks=pytest.mark.full) for n in ("sgd", "rmsprop", "lion"))]
)
def test_each_optimizer_trains_as_in_keras(name: str) -> None:
    model, plain = twins(small)
    for one in (model, plain):
        one.compile(OPTIMIZERS[name](), "sparse_categorical_crossentropy", metrics=["accuracy"])
    assert_trains_as_keras(model, plain)


def test_a_model_of_which_all_is_frozen_is_fitted() -> None:
    model = small()
    model.trainable = False
    model.compile("sgd", "sparse_categorical_crossentropy")
    before = model.get_weights()
    with warnings.catch_warnings():
        # PyTorch alone says that there is nothing to train.
        warnings.filterwarnings("ignore", message="The model does not have any trainable weights")
        fitted(model, STEPS + 2)
    for got, expected in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(got, expected)


class Doubled(keras_qa.models.QAModel):
    """Its `compute_loss` knows nothing of `training`."""

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None):
        return 2 * super().compute_loss(x, y, y_pred, sample_weight)


def test_a_loss_of_ones_own_is_computed() -> None:
    models = []
    for kind in (Doubled, keras_qa.models.QAModel):
        base = small()
        model = kind(base.inputs, base.outputs)
        rate = 0.1 if kind is Doubled else 0.2
        model.compile(keras.optimizers.SGD(rate), "sparse_categorical_crossentropy")
        fitted(model, STEPS + 2)
        models.append(model.get_weights())
    for one, other in zip(*models, strict=True):
        np.testing.assert_allclose(one, other, atol=2e-5)


def test_a_rate_that_is_changed_between_two_trainings_counts() -> None:
    model = small(dropout=0.5)
    fitted(model)
    for branch in ("text_encoder", "question_encoder"):
        model.get_layer(branch).word_dropout.rate = 0.0
    model.get_layer("answer").input_dropout.rate = 0.0
    model.compile(keras.optimizers.SGD(0.1), "sparse_categorical_crossentropy")
    plain = keras_model(small())
    weights = {variable.path: variable.numpy() for variable in model.trainable_variables}
    for variable in plain.trainable_variables:
        variable.assign(weights[variable.path])
    plain.compile(keras.optimizers.SGD(0.1), "sparse_categorical_crossentropy")
    logs = [trained(one, *batch(ROWS))[0] for one in (model, plain)]
    np.testing.assert_allclose(logs[0]["loss"], logs[1]["loss"], rtol=1e-4)


def masked_outputs() -> keras_qa.models.QAModel:
    """A label for each word, as padding is masked."""
    keras.utils.set_random_seed(2)
    ids = keras.Input((None,), dtype="int32", name="text")
    words = keras.layers.Embedding(50, 4, mask_zero=True)(ids)
    states = keras_qa.layers.LSTM(3, return_sequences=True)(words)
    model = keras_qa.models.QAModel([ids], keras.layers.Dense(7, activation="softmax")(states))
    return model


def test_outputs_keep_their_mask_in_loss_and_metrics() -> None:
    model, plain = twins(masked_outputs)
    ids = np.array([[3, 4, 5, 0], [6, 7, 0, 0]] * 4, "int32")
    labels = np.array([[1, 2, 3, 0], [4, 5, 0, 0]] * 4, "int32")
    for one in (model, plain):
        one.compile(
            keras.optimizers.SGD(0.1),
            "sparse_categorical_crossentropy",
            metrics=["accuracy"],
            weighted_metrics=["accuracy"],
        )
    assert_trains_as_keras(model, plain, [ids], labels)


def test_seeded_dropout_of_keras_draws_as_in_keras() -> None:
    def make() -> keras_qa.models.QAModel:
        keras.utils.set_random_seed(3)
        ids = keras.Input((None,), dtype="int32", name="text")
        vector = keras_qa.layers.SequenceEncoder(50, 4, 3)(ids)
        vector = keras.layers.GaussianNoise(0.3, seed=5)(keras.layers.Dropout(0.5, seed=4)(vector))
        return keras_qa.models.QAModel([ids], keras.layers.Dense(7, activation="softmax")(vector))

    model, plain = twins(make)
    for one in (model, plain):
        one.compile(keras.optimizers.SGD(0.1), "sparse_categorical_crossentropy")
    feed, labels = batch(ROWS)
    assert_trains_as_keras(model, plain, feed[:1], labels)


def test_a_loss_that_calls_what_cannot_be_compiled_is_computed() -> None:
    calls = []

    def loss(y_true, y_pred):
        if BACKEND == "tensorflow":
            import tensorflow as tf

            tf.numpy_function(lambda: calls.append(1), [], [])
        return keras.losses.sparse_categorical_crossentropy(y_true, y_pred)

    model = small()
    model.compile(keras.optimizers.SGD(0.1), loss)
    fitted(model, STEPS + 2)
    assert len(calls) == (STEPS + 2 if BACKEND == "tensorflow" else 0)


if BACKEND == "tensorflow":

    def test_without_xla_as_it_is_asked_for() -> None:
        model = small()
        model.compile("sgd", "sparse_categorical_crossentropy", jit_compile=False)
        fitted(model, STEPS + 2)
        assert not model.jit_compile
        model.compile("sgd", "sparse_categorical_crossentropy")
        fitted(model, STEPS + 2)
        assert model.jit_compile
