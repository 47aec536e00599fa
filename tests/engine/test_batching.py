"""Batches of rows of similar length, of few rows and of many, with the current weights."""

import keras
import numpy as np
import pytest
from small_models import assert_predicted_again, batch, padded_batch, same_weights, state


def test_one_full_batch_trains_as_it_does_in_full_width(twins) -> None:
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
            shuffle=buckets,
        )
    for one, other in zip(*(model.get_weights() for model in twins), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


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
