"""Batches of rows of similar length change no numbers, in training and in predictions."""

import time

import keras
import numpy as np
import pytest
from as_keras import keras_model
from small_models import (
    assert_predicted_again,
    batch,
    padded_batch,
    same_weights,
    state,
)

import keras_qa
from keras_qa.inputs.hard_examples import LEAST_WEIGHT, HardExampleSampling


def test_outputs_are_in_the_order_of_the_inputs(model) -> None:
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


def test_one_batch_trains_as_without_length_buckets(twins) -> None:
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


def test_the_seed_determines_the_order_of_training(twins) -> None:
    feed, labels = padded_batch()
    for model in twins:
        np.random.seed(5)
        model.fit(feed, labels, epochs=2, batch_size=8, verbose=0, class_weight={0: 2.0})
    # Memory alignment may change the last bit of a product. Another order of the batches changes
    # the weights a thousand times as much.
    for one, other in zip(*(model.get_weights() for model in twins), strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-6)


@pytest.mark.parametrize("lengths_differ", [True, False])
def test_training_in_two_parts_has_the_same_order(twins, lengths_differ) -> None:
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
    # The order differs between epochs.
    assert not same_weights(twins[0], results[0])


def test_layers_that_read_padding_get_all_of_it() -> None:
    ids = keras.Input((None,), dtype="int32", name="text")
    mean = keras.ops.mean(keras.layers.Embedding(50, 3)(ids), axis=1)
    model = keras_qa.models.QAModel([ids], keras.layers.Dense(2)(mean))
    (text, _), _ = padded_batch()
    expected = model.predict(text, batch_size=8, verbose=0, length_buckets=False)
    assert_predicted_again(model.predict(text, batch_size=8, verbose=0), expected)
    few = keras_model(model).predict_on_batch([text[:3]])
    np.testing.assert_allclose(model.predict(text[:3], verbose=0), few, atol=1e-6)


def test_hard_examples_have_the_weight_of_their_error(model) -> None:
    feed, labels = padded_batch()
    model.optimizer.learning_rate = 0.0
    sampling = HardExampleSampling(0.5)
    model.fit(feed, labels, batch_size=8, callbacks=[sampling], verbose=0)
    chances = model.predict(feed, batch_size=8, verbose=0)[np.arange(48), labels]
    seen = sampling.batches.order
    assert len(seen) == 24
    wanted = np.maximum(1.0 - chances[seen], LEAST_WEIGHT)
    np.testing.assert_allclose(sampling.weights[seen], wanted, atol=1e-6)
    assert (np.delete(sampling.weights, seen) == 1).all()


@pytest.mark.parametrize("rows", [1, 3, 7])
def test_few_rows_are_predicted_as_many(model, rows: int) -> None:
    feed, _ = padded_batch()
    part = [array[:rows] for array in feed]
    expected = model.predict(feed, batch_size=8, verbose=0)[:rows]
    np.testing.assert_allclose(model.predict(part, verbose=0), expected, atol=1e-6)


def test_read_only_arrays_are_predicted(model) -> None:
    # These sizes need no padding, so the arrays themselves reach the backend.
    feed = [np.arange(1, 17, dtype="int32").reshape(2, 8) for _ in range(2)]
    expected = [model.predict([array + shift for array in feed], verbose=0) for shift in (0, 1)]
    for array in feed:
        array.setflags(write=False)
    assert_predicted_again(model.predict(feed, verbose=0), expected[0])
    for array in feed:
        array.setflags(write=True)
        array += 1
    assert_predicted_again(model.predict(feed, verbose=0), expected[1])


class _Slow(keras.layers.Layer):
    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def call(self, ids):
        self.calls += 1
        time.sleep(0.1)
        return keras.ops.cast(ids, "float32")


def test_batches_of_one_shape_are_compiled_once() -> None:
    ids = keras.Input((None,), dtype="int32", name="text")
    layer = _Slow()
    model = keras_qa.models.QAModel([ids], layer(ids))
    layer.calls = 0
    feed = np.arange(64, dtype="int32").reshape(8, 8)
    np.testing.assert_array_equal(model.predict(feed, batch_size=2, verbose=0), feed)
    # PyTorch does not compile.
    assert layer.calls == (4 if keras.config.backend() == "torch" else 1)
