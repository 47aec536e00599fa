"""Our recurrent layers if `keras_is_fused()`: they let Keras' layer compute, with valid masks.

Without a GPU, Keras' layer computes the same numbers by its loop instead of cuDNN.
"""

import keras
import numpy as np
import pytest
from backend_calls import to_numpy
from kernel_cases import MASKS
from recurrent_cases import (
    KERAS,
    OURS,
    SETTINGS,
    arrays,
    assert_same,
    count_kernel_calls,
    inputs,
    layer_gradients,
    pair,
    states,
)
from small_models import padded_batch

import keras_qa
from keras_qa import kernels


@pytest.mark.parametrize(
    ("settings", "with_state"),
    [("plain", True), ("both", False), ("backwards_both", True), ("zeros", False)],
)
# On other backends `keras_is_fused()` is never true, so one mask is enough.
@pytest.mark.parametrize("mask", MASKS if keras.config.backend() == "tensorflow" else ["scattered"])
@pytest.mark.parametrize("kind", OURS)
def test_masks_for_keras_are_padded_on_the_right(kind, settings, with_state, mask, monkeypatch):
    ours, theirs = pair(kind, fused=True, **SETTINGS[settings])
    masks, inner_loop = [], KERAS[kind].inner_loop

    def watched(self, sequences, initial_state, mask, training=False):
        if self is ours and mask is not None:
            masks.append(mask)
        return inner_loop(self, sequences, initial_state, mask, training=training)

    monkeypatch.setattr(KERAS[kind], "inner_loop", watched)
    options = {"mask": MASKS[mask], "initial_state": states(kind) if with_state else None}
    expected = arrays(ours(inputs(), **options))
    assert masks == []
    calls = count_kernel_calls(monkeypatch, kind)
    monkeypatch.setattr(kernels, "keras_is_fused", lambda: True)
    unread = inputs()
    if MASKS[mask] is not None:
        unread[~MASKS[mask]] = np.nan
    assert_same(arrays(ours(unread, **options)), expected)
    assert calls == []
    got, wanted = (
        layer_gradients(layer, x, options["mask"], options["initial_state"])
        for layer, x in ((ours, unread), (theirs, inputs()))
    )
    # Keras' loops differ in masked steps before the first valid one.
    if mask in ("dense", "right_padded") or not with_state:
        assert_same(got, wanted, atol=1e-4)
    for given in masks[:1]:
        given = to_numpy(given)
        np.testing.assert_array_equal(given.sum(1), np.maximum(MASKS[mask].sum(1), 1))
        assert (given[:, 1:] <= given[:, :-1]).all()


@pytest.mark.parametrize(
    ("cell", "pooling"), [pytest.param("lstm", "last", marks=pytest.mark.full), ("gru", "mean")]
)
def test_a_model_trains_alike_by_keras_layers(cell, pooling, monkeypatch):
    model = keras_qa.models.answer_classifier(
        50, 40, 7, 4, 3, question_units=2, cell=cell, bidirectional=True, pooling=pooling
    )
    twin = type(model).from_config(model.get_config())
    twin.set_weights(model.get_weights())
    twin.compile(keras.optimizers.SGD(0.5), "sparse_categorical_crossentropy")
    model.compile(keras.optimizers.SGD(0.5), "sparse_categorical_crossentropy")
    feed, labels = padded_batch(24)
    model.fit(feed, labels, batch_size=8, shuffle=False, verbose=0)
    expected = model.predict(feed, verbose=0)
    calls = count_kernel_calls(monkeypatch, cell)
    monkeypatch.setattr(kernels, "keras_is_fused", lambda: True)
    monkeypatch.setattr(kernels, "takes_ids", lambda: False)
    twin.fit(feed, labels, batch_size=8, shuffle=False, verbose=0)
    np.testing.assert_allclose(twin.predict_on_batch(feed), expected, atol=1e-5)
    assert calls == []
