"""`fit` gives the numbers of `keras.Model.fit`."""

import warnings

import keras
import numpy as np
import pytest
from as_keras import BACKEND, ROWS, STEPS, assert_alike, small, trained, twins
from small_models import batch

import keras_qa
from keras_qa.engine.graph import compiles_predictions
from keras_qa.training import Recipe


def word_classifier() -> keras_qa.models.QAModel:
    """A model without loops, which compiles in a moment."""
    keras.utils.set_random_seed(1)
    ids = keras.Input((None,), dtype="int32", name="text")
    # TensorFlow clips the gradients of a word before they are added up, where it accumulates none.
    words = keras.layers.Embedding(50, 4, "normal", trainable=False)(ids)
    hidden = keras.layers.Dense(5, activation="tanh")(keras.layers.GlobalAveragePooling1D()(words))
    return keras_qa.models.QAModel([ids], keras.layers.Dense(7, activation="softmax")(hidden))


def recurrent_classifier() -> keras_qa.models.QAModel:
    """A model that XLA compiles on TensorFlow."""
    ids = keras.Input((None,), dtype="int32", name="text")
    vector = keras_qa.layers.SequenceEncoder(50, 4, 3)(ids)
    return keras_qa.models.QAModel([ids], keras.layers.Dense(7, activation="softmax")(vector))


def fit_text(model: keras.Model) -> None:
    (text, _), labels = batch(ROWS)
    trained(model, [text], labels)


def added_loss() -> keras_qa.models.QAModel:
    base = word_classifier()
    outputs = keras.layers.ActivityRegularization(l2=5.0)(base.output)
    return keras_qa.models.QAModel(base.inputs, outputs)


def masked_outputs() -> keras_qa.models.QAModel:
    """A model with a label for each word, and masked padding."""
    keras.utils.set_random_seed(2)
    ids = keras.Input((None,), dtype="int32", name="text")
    words = keras.layers.Embedding(50, 4, mask_zero=True)(ids)
    return keras_qa.models.QAModel([ids], keras.layers.Dense(7, activation="softmax")(words))


def seeded_dropout() -> keras_qa.models.QAModel:
    keras.utils.set_random_seed(3)
    ids = keras.Input((None,), dtype="int32", name="text")
    words = keras.layers.Embedding(50, 4)(ids)
    vector = keras.layers.GlobalAveragePooling1D()(words)
    vector = keras.layers.GaussianNoise(0.3, seed=5)(keras.layers.Dropout(0.5, seed=4)(vector))
    return keras_qa.models.QAModel([ids], keras.layers.Dense(7, activation="softmax")(vector))


@pytest.mark.parametrize("make", [added_loss, masked_outputs, seeded_dropout])
def test_a_model_trains_as_in_keras(make) -> None:
    model, plain = twins(make)
    feed, labels = batch(ROWS)
    feed = feed[: len(model.inputs)]
    if make is masked_outputs:
        feed = [np.array([[3, 4, 5, 0], [6, 7, 0, 0]] * 4, "int32")]
        labels = np.array([[1, 2, 3, 0], [4, 5, 0, 0]] * 4, "int32")
    for one in (model, plain):
        one.compile(
            keras.optimizers.SGD(0.1),
            "sparse_categorical_crossentropy",
            metrics=["accuracy"],
            weighted_metrics=["accuracy"],
        )
    assert_alike(*(trained(one, feed, labels, steps=STEPS + 2) for one in (model, plain)), 2e-5)


def test_sample_weights_and_a_scaled_optimizer_count_as_in_keras() -> None:
    model, plain = twins(small)
    # Each word occurs once: Keras on TensorFlow squares a word's gradients before it sums them.
    random = np.random.default_rng(0)
    feed = [random.permutation(size)[1:].reshape(6, -1) for size in (49, 37)]
    labels, weights = random.integers(0, 7, 6), np.linspace(0, 2, 6, dtype="float32")
    for one in (model, plain):
        rate = keras.optimizers.schedules.ExponentialDecay(1e-3, 2, 0.5)
        adam = keras.optimizers.Adam(rate, global_clipnorm=0.1)
        one.compile(
            keras.optimizers.LossScaleOptimizer(adam),
            "sparse_categorical_crossentropy",
            metrics=["accuracy"],
            weighted_metrics=["accuracy"],
        )
    assert_alike(*(trained(one, feed, labels, weights) for one in (model, plain)))


def test_a_frozen_model_keeps_its_weights() -> None:
    model = word_classifier()
    model.trainable = False
    model.compile("sgd", "sparse_categorical_crossentropy")
    before = model.get_weights()
    with warnings.catch_warnings():
        # Only on PyTorch does Keras warn.
        warnings.filterwarnings("ignore", message="The model does not have any trainable weights")
        fit_text(model)
    for got, expected in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(got, expected)


class Doubled(keras_qa.models.QAModel):
    """A `compute_loss` without the argument `training`."""

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None):
        return 2 * super().compute_loss(x, y, y_pred, sample_weight)


def test_an_overridden_compute_loss() -> None:
    models = []
    for kind in (Doubled, keras_qa.models.QAModel):
        base = word_classifier()
        model = kind(base.inputs, base.outputs)
        rate = 0.1 if kind is Doubled else 0.2
        model.compile(keras.optimizers.SGD(rate), "sparse_categorical_crossentropy")
        fit_text(model)
        models.append(model.get_weights())
    for one, other in zip(*models, strict=True):
        np.testing.assert_allclose(one, other, atol=2e-5)


def test_gradients_of_several_batches_make_one_update() -> None:
    model, plain = twins(word_classifier)
    before = model.get_weights()
    (text, _), labels = batch(3 * ROWS)
    for one, steps in ((plain, 1), (model, 3)):
        sizes = {"epochs": 10, "batch_size": 3 * ROWS // steps}
        recipe = Recipe(
            learning_rate=0.03,
            warmup=0.25,
            weight_decay=0.1,
            clip_norm=0.5,
            decay="linear",
            gradient_accumulation_steps=steps,
            **sizes,
        )
        one.compile(recipe.optimizer(3 * ROWS), "sparse_categorical_crossentropy")
        one.fit([text], labels, shuffle=False, verbose=0, **sizes)
    for got, expected in zip(model.get_weights(), plain.get_weights(), strict=True):
        np.testing.assert_allclose(got, expected, atol=2e-6)
    for got, start in zip(model.get_weights()[1:], before[1:], strict=True):
        assert np.abs(got - start).max() > 0.01
    # The rate is where it was to be at the end of training.
    assert float(model.optimizer.learning_rate) == 0.0
    assert int(model.optimizer.iterations) == 10


def test_a_loss_that_xla_cannot_compile() -> None:
    calls = []

    def loss(y_true, y_pred):
        if BACKEND == "tensorflow":
            import tensorflow as tf

            tf.numpy_function(lambda: calls.append(1), [], [])
        return keras.losses.sparse_categorical_crossentropy(y_true, y_pred)

    model = recurrent_classifier()
    model.compile(keras.optimizers.SGD(0.1), loss)
    fit_text(model)
    # Once to make the variables of metrics.
    assert len(calls) == (1 + STEPS if BACKEND == "tensorflow" else 0)


if BACKEND == "tensorflow":

    @pytest.fixture
    def compiled(monkeypatch) -> list[bool]:
        """Whether XLA compiles, for each function of a training step that Keras makes."""
        made = []
        make = keras.Model.make_train_function

        def record(self, force=False):
            if self.train_function is None:
                made.append(self.jit_compile)
            return make(self, force)

        monkeypatch.setattr(keras.Model, "make_train_function", record)
        return made

    FULL = np.array([[3, 4, 5], [6, 7, 8]], "int32")
    PADDED = np.array([[3, 4, 5], [6, 7, 0]], "int32")

    def test_xla_trains_full_rows_whatever_ran_before(compiled) -> None:
        model = recurrent_classifier()
        model.compile("sgd", "sparse_categorical_crossentropy")
        labels = np.array([1, 2])
        for rows in (FULL, PADDED, PADDED, FULL):
            model.fit(rows, labels, verbose=0)
        assert compiled == [True, False, True]
        # Rows of single batches and of data sources are not known.
        model.train_on_batch(FULL, labels)
        model.fit(((FULL, labels) for _ in range(1)), verbose=0)
        assert compiled == [True, False, True, False]
        assert not model.jit_compile

    @pytest.mark.parametrize("jit_compile", [True, False])
    def test_jit_compile_is_respected(jit_compile, compiled) -> None:
        model = recurrent_classifier()
        model.compile("sgd", "sparse_categorical_crossentropy", jit_compile=jit_compile)
        for rows in (FULL, PADDED):
            model.fit(rows, np.array([1, 2]), verbose=0)
        assert compiled == [jit_compile]
        assert compiles_predictions(model) is jit_compile

    def test_xla_trains_as_keras() -> None:
        model, plain = twins(recurrent_classifier)
        for one in (model, plain):
            one.compile("rmsprop", "sparse_categorical_crossentropy")
        labels = np.array([1, 2])
        results = [trained(one, [FULL], labels, steps=STEPS + 2) for one in (model, plain)]
        assert model._compiles_training
        assert_alike(*results, 1e-6)
