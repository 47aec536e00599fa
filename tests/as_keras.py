"""Compares `QAModel`s with plain `keras.Model`s of the same layers."""

from collections.abc import Callable

import keras
import numpy as np
from small_models import batch, make_variables

import keras_qa

BACKEND = keras.config.backend()
STEPS = 24
ROWS = 8


def small(**options) -> keras_qa.models.QAModel:
    keras.utils.set_random_seed(1)
    settings = {"optimizer": keras.optimizers.SGD(0.1), **options}
    model = keras_qa.models.answer_classifier(
        50, 40, 7, 6, 5, question_embedding_dim=4, question_units=3, **settings
    )
    # Make the weights large enough for every change to have a visible effect.
    model.set_weights([3 * weight for weight in model.get_weights()])
    return model


def without_loops(**options) -> keras_qa.models.QAModel:
    """A classifier of the same inputs without loops, which are slow to trace and to compile."""
    keras.utils.set_random_seed(1)
    inputs = [keras.Input((None,), dtype="int32", name=name) for name in ("text", "question")]
    words = [keras.layers.Embedding(50, 4, "normal")(ids) for ids in inputs]
    vectors = [keras.layers.GlobalAveragePooling1D()(part) for part in words]
    features = keras.layers.Concatenate(name="features")(vectors)
    outputs = keras_qa.layers.AnswerHead(7, name="answer")(features)
    model = keras_qa.models.QAModel(inputs, outputs)
    settings = {"optimizer": keras.optimizers.SGD(0.1), "metrics": ["accuracy"], **options}
    model.compile(**{"loss": "sparse_categorical_crossentropy", **settings})
    return model


def keras_model(model: keras.Model) -> keras.Model:
    """A plain Keras model of the same layers."""
    return keras.Model(model.inputs, model.output)


class Logs(keras.callbacks.Callback):
    """Records the metrics after each step: means over the steps so far."""

    def on_train_begin(self, logs=None) -> None:
        self.steps: list[dict[str, float]] = []

    def on_train_batch_end(self, step: int, logs=None) -> None:
        self.steps.append(dict(logs))


def trained(model: keras.Model, feed, labels, weights=None, steps: int = STEPS):
    """Trains several steps on the same batch. Returns the metrics of each step and the weights.

    All steps are in one epoch, because TensorFlow is slow to start an epoch.
    """
    make_variables(model, feed, labels)
    again = [np.concatenate([array] * steps) for array in (*feed, labels)]
    logs = Logs()
    model.fit(
        again[:-1],
        again[-1],
        sample_weight=None if weights is None else np.tile(weights, steps),
        batch_size=len(labels),
        shuffle=False,
        verbose=0,
        callbacks=[logs],
    )
    by_name = {name: [step[name] for step in logs.steps] for name in logs.steps[0]}
    return by_name, model.get_weights()


def fitted(model: keras.Model, steps: int = STEPS) -> None:
    trained(model, *batch(ROWS), steps=steps)


def assert_predicts_as_keras(model: keras.Model, feed=None) -> np.ndarray:
    feed = batch(3 * ROWS)[0] if feed is None else feed
    plain = keras_model(model)
    if BACKEND == "torch":
        expected = plain.predict(feed, verbose=0)
        rows, sizes = len(feed[0]), (ROWS, 32)
    else:
        # `predict` would compile for each comparison, and for each number of rows:
        # `test_programs.py` predicts other numbers.
        expected = keras.ops.convert_to_numpy(plain(feed))
        rows, sizes = ROWS, (ROWS,)
    for batch_size in sizes:
        got = model.predict(feed, batch_size=batch_size, verbose=0)
        np.testing.assert_allclose(got, expected, atol=1e-5)
    got = model.predict_on_batch([part[:rows] for part in feed])
    np.testing.assert_allclose(got, expected[:rows], atol=1e-5)
    return expected


def twins(make: Callable[[], keras.Model]) -> tuple[keras.Model, keras.Model]:
    """A model, and a plain Keras model of other layers with the same weights."""
    model = make()
    other = make()
    other.set_weights(model.get_weights())
    return model, keras_model(other)


def assert_alike(one, other, atol: float = 1e-5) -> None:
    """Asserts that two results of `trained` are equal within rounding."""
    (logs, weights), (their_logs, their_weights) = one, other
    assert logs.keys() == their_logs.keys()
    for name, values in logs.items():
        np.testing.assert_allclose(values, their_logs[name], rtol=1e-4, atol=1e-5)
    for got, expected in zip(weights, their_weights, strict=True):
        np.testing.assert_allclose(got, expected, atol=atol)


def lora(dense) -> None:
    dense.enable_lora(2)
    dense.lora_kernel_b.assign(np.random.default_rng(0).normal(size=dense.lora_kernel_b.shape))


def quantized(dense) -> None:
    dense.quantize("int8")


def own_activation(dense) -> None:
    dense.activation = lambda x: 3 * x


def overridden(layer) -> None:
    call = layer.call
    layer.call = lambda *arguments, **options: 0.5 * call(*arguments, **options)


# Changes of a dense layer.
DENSE_CHANGES = [overridden, lora, quantized, own_activation]


def lora_of_words(model) -> None:
    embedding = model.get_layer("text_encoder").embedding
    embedding.enable_lora(2)
    added = embedding.lora_embeddings_b
    added.assign(np.random.default_rng(0).normal(size=added.shape))


def changed_inside(model) -> None:
    lora_of_words(model)
    model.get_layer("question_encoder").embedding.trainable = False
    model.get_layer("answer").logits.enable_lora(3)
