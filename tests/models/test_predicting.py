"""Predictions equal those of `keras.Model`, with and without padding."""

import keras
import numpy as np
import pytest
from as_keras import keras_model, small
from small_models import padded_batch

import keras_qa


def padded(rows: int = 12):
    """A feed as narrow as its longest row."""
    feed, labels = padded_batch(rows)
    return [array[:, :width] for array, width in zip(feed, (20, 4), strict=True)], labels


@pytest.mark.parametrize("cell", ["lstm", "gru"])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_batches_with_and_without_padding(cell, bidirectional) -> None:
    model = small(cell=cell, bidirectional=bidirectional)
    feed, _ = padded(8)
    full = [np.where(array == 0, 3, array) for array in feed]
    twin = keras_model(model)
    for ids in [full, feed] * 2:
        got = model.predict(ids, verbose=0, length_buckets=False)
        np.testing.assert_allclose(got, twin.predict_on_batch(ids), atol=1e-6)


@pytest.mark.parametrize("layer", [keras_qa.layers.LSTM, keras_qa.layers.GRU])
def test_masked_steps_may_have_any_value(layer) -> None:
    vectors = keras.Input((None, 2), name="vectors")
    state = layer(3)(keras.layers.Masking(2.0)(vectors))
    model = keras_qa.models.QAModel([vectors], keras.layers.Dense(4)(state))
    feed = np.random.default_rng(0).uniform(-1, 1, (8, 6, 2)).astype("float32")
    hidden = feed.copy()
    hidden[:3, 2:] = 2
    twin = keras_model(model)
    for batch in [feed, hidden] * 2:
        got = model.predict(batch, verbose=0)
        np.testing.assert_allclose(got, twin.predict_on_batch([batch]), atol=1e-6)


@pytest.mark.parametrize("batch_size", [8, 48])
def test_progress_of_one_batch_and_of_several(model, batch_size: int, capsys) -> None:
    feed, _ = padded_batch()
    model.predict(feed, batch_size=batch_size, verbose=1)
    assert f"{48 // batch_size}/{48 // batch_size}" in capsys.readouterr().out
