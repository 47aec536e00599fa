"""Batches of rows of similar length, of few rows and of many, with the current weights."""

import keras
import numpy as np
import pytest
from as_keras import keras_model
from small_models import (
    assert_predicted_again,
    batch,
    padded_batch,
    same_weights,
    small_model,
    state,
)

import keras_qa


def test_outputs_come_in_the_order_of_the_feed(model) -> None:
    feed, labels = padded_batch()
    plain = model.predict(feed, batch_size=8, verbose=0, length_buckets=False)
    np.testing.assert_allclose(model.predict(feed, batch_size=8, verbose=0), plain, atol=1e-6)
    np.testing.assert_allclose(model.predict(feed, batch_size=128, verbose=0), plain, atol=1e-6)
    weights = np.linspace(0, 1, len(labels))
    scores = [
        model.evaluate(feed, labels, 8, 0, weights, length_buckets=buckets)
        for buckets in (True, False)
    ]
    np.testing.assert_allclose(scores[0], scores[1], rtol=1e-5)


def test_one_full_batch_trains_as_it_does_without_buckets(twins) -> None:
    feed, labels = padded_batch(8)
    for model, buckets in zip(twins, (True, False), strict=True):
        model.fit(
            feed,
            labels,
            epochs=3,
            batch_size=8,
            verbose=0,
            sample_weight=np.linspace(0, 1, 8),
            validation_data=(feed, labels),
            length_buckets=buckets,
        )
    for one, other in zip(*(model.get_weights() for model in twins), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


def test_the_loss_falls_as_it_does_without_kernels() -> None:
    feed, labels = padded_batch()
    model, twin = (small_model(optimizer=keras.optimizers.SGD(0.5)) for _ in range(2))
    for encoder in twin.layers[2:4]:
        encoder.recurrent.fused = False
    curves = []
    # So few steps at a time TensorFlow does without XLA, which compiles Keras' loop for long.
    for one, parts in ((model, [(0, 4)]), (twin, [(0, 2), (2, 4)])):
        losses = []
        for begin, end in parts:
            np.random.seed(5)
            history = one.fit(
                feed, labels, initial_epoch=begin, epochs=end, batch_size=8, verbose=0
            )
            losses += history.history["loss"]
        curves.append(losses)
    assert curves[0][-1] < curves[0][0]
    np.testing.assert_allclose(curves[0], curves[1], atol=1e-4)


def test_order_of_training_follows_the_seed(twins) -> None:
    feed, labels = padded_batch()
    for model in twins:
        np.random.seed(5)
        model.fit(feed, labels, epochs=2, batch_size=8, verbose=0, class_weight={0: 2.0})
    # Where an array lies in memory may change the last bit of a product; another order of the
    # batches changes the weights by a thousand times as much.
    for one, other in zip(*(model.get_weights() for model in twins), strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-6)


def test_labels_of_two_outputs_are_a_list() -> None:
    inputs = [keras.Input((None,), dtype="int32", name=name) for name in ("text", "question")]
    vectors = [keras_qa.layers.SequenceEncoder(50, 3, 2)(item) for item in inputs]
    outputs = [keras.layers.Dense(2, activation="softmax")(vector) for vector in vectors]
    model = keras_qa.models.QAModel(inputs, outputs)
    model.compile("sgd", ["sparse_categorical_crossentropy"] * 2)
    feed, labels = padded_batch()
    both = [labels % 2, 1 - labels % 2]
    model.fit(feed, both, batch_size=8, epochs=2, verbose=0)
    loss = model.evaluate(feed, both, batch_size=8, verbose=0, return_dict=True)["loss"]
    chances = model.predict(feed, batch_size=8, verbose=0)
    wanted = sum(
        -np.log(chance[np.arange(48), label]).mean()
        for chance, label in zip(chances, both, strict=True)
    )
    np.testing.assert_allclose(loss, wanted, rtol=1e-4)


@pytest.mark.parametrize("lengths_differ", [True, False])
def test_training_in_two_parts_sees_the_rows_in_the_same_order(twins, lengths_differ) -> None:
    feed, labels = padded_batch() if lengths_differ else batch(48)
    start = [keras.ops.convert_to_numpy(value) for value in state(twins[0])]
    results = []
    for parts in ([(0, 3)], [(0, 1), (1, 3)], [(0, 1), (0, 1), (0, 1)]):
        for variable, value in zip(state(twins[0]), start, strict=True):
            variable.assign(value)
        for begin, end in parts:
            np.random.seed(5)
            twins[0].fit(feed, labels, initial_epoch=begin, epochs=end, batch_size=8, verbose=0)
        results.append(twins[0].get_weights())
    for one, other in zip(*results[:2], strict=True):
        np.testing.assert_array_equal(one, other)
    # Each epoch has an order of its own.
    assert not same_weights(twins[0], results[0])


def test_layers_that_read_padding_are_fed_it() -> None:
    ids = keras.Input((None,), dtype="int32", name="text")
    mean = keras.ops.mean(keras.layers.Embedding(50, 3)(ids), axis=1)
    model = keras_qa.models.QAModel([ids], keras.layers.Dense(2)(mean))
    (text, _), _ = padded_batch()
    expected = model.predict(text, batch_size=8, verbose=0, length_buckets=False)
    assert_predicted_again(model.predict(text, batch_size=8, verbose=0), expected)
    few = keras_model(model).predict_on_batch([text[:3]])
    np.testing.assert_allclose(model.predict(text[:3], verbose=0), few, atol=1e-6)


@pytest.mark.parametrize("rows", [1, 3, 7])
def test_few_rows_are_predicted_as_many_are(model, rows: int) -> None:
    feed, _ = padded_batch()
    part = [array[:rows] for array in feed]
    expected = model.predict(feed, batch_size=8, verbose=0)[:rows]
    np.testing.assert_allclose(model.predict(part, verbose=0), expected, atol=1e-6)


def test_rows_that_are_not_to_be_written_to_are_predicted(model) -> None:
    # Of sizes that need no filling up, so that the arrays themselves reach the backend.
    feed = [np.arange(1, 17, dtype="int32").reshape(2, 8) for _ in range(2)]
    expected = [model.predict([array + shift for array in feed], verbose=0) for shift in (0, 1)]
    for array in feed:
        array.setflags(write=False)
    assert_predicted_again(model.predict(feed, verbose=0), expected[0])
    for array in feed:
        array.setflags(write=True)
        array += 1
    assert_predicted_again(model.predict(feed, verbose=0), expected[1])


class _Marks(keras.layers.Layer):
    """Says which ids are no filling, on TensorFlow by operations that XLA has not compiled."""

    def __init__(self) -> None:
        super().__init__()
        self.supports_jit = False

    def call(self, ids):
        return keras.ops.cast(keras.ops.not_equal(ids, 0), "float32")


def test_rows_are_predicted_wherever_they_lie_in_memory() -> None:
    ids = keras.Input((None,), dtype="int32", name="text")
    model = keras_qa.models.QAModel([ids], _Marks()(ids))
    memory = np.ones(64, "int32")
    for start in range(17):
        row = memory[start : start + 32].reshape(1, 32)
        row[0, start] = 0
        np.testing.assert_array_equal(model.predict(row, verbose=0), row != 0)
        row[0, start] = 1


def test_one_row_is_predicted_with_the_current_weights() -> None:
    model = keras_qa.models.answer_classifier(30, 30, 5, bidirectional=True, pooling="max")
    row = [np.arange(1, 13, dtype="int32")[None], np.arange(1, 5, dtype="int32")[None]]
    outputs = [model.predict(row, verbose=0)]
    model.layers[2].trainable = False
    plain = keras_model(model)
    rng = np.random.default_rng(0)
    for weight in model.weights:
        # Not the same for all: a softmax does not see that.
        weight.assign(weight.numpy() * 1.5 + rng.uniform(0.0, 0.2, weight.shape))
        outputs.append(model.predict(row, verbose=0))
        np.testing.assert_allclose(outputs[-1], plain.predict_on_batch(row), atol=1e-6)
        assert_predicted_again(model.predict(row, verbose=0), outputs[-1])
    assert len(np.unique(outputs, axis=0)) == len(outputs)


@keras.saving.register_keras_serializable(package="tests")
class AsksForValues(keras.layers.Layer):
    """Doubles what is positive on the whole: a compiled program cannot know."""

    def call(self, x):
        return 2 * x if float(keras.ops.convert_to_numpy(keras.ops.sum(x))) > 0 else x

    def compute_output_shape(self, input_shape):
        return input_shape

    def compute_output_spec(self, x):
        return keras.KerasTensor(x.shape, x.dtype)


def test_a_layer_that_asks_for_values_is_called_each_time() -> None:
    numbers = keras.Input((2,), name="numbers")
    model = keras_qa.models.QAModel([numbers], AsksForValues()(numbers))
    model.compile("sgd", "mse", run_eagerly=keras.config.backend() != "torch")
    for _ in range(6):
        for sign in (1.0, -1.0):
            rows = np.full((3, 2), sign, "float32")
            expected = rows * (2 if sign > 0 else 1)
            np.testing.assert_array_equal(model.predict(rows, verbose=0), expected)
