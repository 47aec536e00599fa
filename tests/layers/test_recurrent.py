"""`LSTM` and `GRU` against Keras' own layers on the same backend: one table of settings."""

import itertools

import keras
import numpy as np
import pytest
from recurrent_pairs import (
    MASKED,
    OURS,
    SETTINGS,
    arrays,
    assert_same,
    count_kernel_calls,
    inputs,
    pair,
    states,
)

# Keras' backends differ in masked steps before the first valid one of an initial state.
FROM_STATE = [(settings, True, True) for settings in ("plain", "backwards_both", "zeros_last")]


@pytest.mark.parametrize(
    ("settings", "masked", "with_state"),
    [*itertools.product(SETTINGS, [False, True], [False]), *FROM_STATE],
)
@pytest.mark.parametrize("kind", OURS)
def test_outputs_are_keras(kind, settings, masked, with_state, monkeypatch):
    ours, theirs = pair(kind, fused=True, **SETTINGS[settings])
    calls = count_kernel_calls(monkeypatch, kind)
    mask = MASKED if masked else None
    options = {"mask": mask, "initial_state": states(kind) if with_state else None}
    assert_same(arrays(ours(inputs(), **options)), arrays(theirs(inputs(), **options)))
    assert len(calls) == 1


@pytest.mark.parametrize("mask", [None, MASKED], ids=["dense", "masked"])
@pytest.mark.parametrize("kind", OURS)
def test_stateful(kind, mask):
    settings = {"stateful": True, "return_sequences": True}
    ours, theirs = pair(kind, fused=True, **settings)
    for seed in range(3):
        x = inputs(seed)
        assert_same(arrays(ours(x, mask=mask)), arrays(theirs(x, mask=mask)))
        assert_same(
            arrays([v.value for v in ours.states]), arrays([v.value for v in theirs.states])
        )
    assert np.abs(arrays([ours.states[0].value])[0]).max() > 0.01
    ours.reset_state()
    np.testing.assert_array_equal(arrays([ours.states[0].value])[0], 0)


@pytest.mark.parametrize("kind", OURS)
def test_dropout_draws_keras_masks(kind):
    ours, theirs = pair(kind, fused=True, dropout=0.5, return_sequences=True)
    x = inputs()
    trained = arrays(ours(x, training=True))
    assert_same(trained, arrays(theirs(x, training=True)))
    assert_same(arrays(ours(x)), arrays(theirs(x)))
    assert np.abs(trained[0] - arrays(ours(x))[0]).max() > 0.05


class Call(keras.Operation):
    """A call of a layer, whose output shapes Keras infers by tracing it."""

    def __init__(self, layer):
        super().__init__()
        self.layer = layer

    def call(self, x, mask):
        return self.layer(x, mask=mask)


@pytest.mark.parametrize("kind", OURS)
def test_shapes_are_inferred_without_running_each_step(kind):
    layer, _ = pair(kind, fused=True, return_sequences=True, go_backwards=True)
    (rows, _, features), steps = inputs().shape, 10**7
    x = keras.KerasTensor((rows, steps, features))
    mask = keras.KerasTensor((rows, steps), "bool")
    shape = Call(layer).compute_output_spec(x, mask).shape
    # A loop of TensorFlow does not know its number of steps.
    expected = None if keras.config.backend() == "tensorflow" else steps
    assert shape == (rows, expected, layer.units)
