"""`LSTM` and `GRU` against Keras' own layers on the same backend: one table of settings."""

import itertools

import keras
import numpy as np
import pytest
from backend_calls import to_numpy
from keras import ops
from kernel_cases import MASKS

from keras_qa.layers import kernels
from keras_qa.layers.recurrent import GRU, LSTM

BATCH, STEPS, FEATURES = 5, 7, 3
OURS = {"lstm": LSTM, "gru": GRU}
KERAS = {"lstm": keras.layers.LSTM, "gru": keras.layers.GRU}
SETTINGS = {
    "plain": {},
    "both": {"return_sequences": True, "return_state": True},
    "backwards_both": {"go_backwards": True, "return_sequences": True, "return_state": True},
    "zeros": {"zero_output_for_mask": True, "return_sequences": True, "return_state": True},
    "zeros_last": {"zero_output_for_mask": True},
    "no_bias": {"use_bias": False, "return_sequences": True},
}


def inputs(seed=0):
    return np.random.default_rng(seed).normal(size=(BATCH, STEPS, FEATURES)).astype("float32")


def states(kind, units=4, seed=3):
    rng = np.random.default_rng(seed)
    return [rng.normal(size=(BATCH, units)).astype("float32") for _ in range(1 + (kind == "lstm"))]


def pair(kind, fused="auto", **settings):
    """Our layer and Keras', with the same random weights."""
    settings = {"units": 4, "seed": 0, **settings}
    ours, theirs = OURS[kind](**settings, fused=fused), KERAS[kind](**settings)
    for layer in (ours, theirs):
        layer.build((BATCH, STEPS, FEATURES))
    rng = np.random.default_rng(2)
    weights = [rng.normal(size=w.shape).astype("float32") * 0.7 for w in theirs.trainable_variables]
    for layer in (ours, theirs):
        for variable, weight in zip(layer.trainable_variables, weights, strict=True):
            variable.assign(weight)
    return ours, theirs


def arrays(result):
    results = result if isinstance(result, (list, tuple)) else [result]
    return [to_numpy(ops.cast(r, "float32")) for r in results]


def assert_same(ours, theirs, atol=1e-5):
    assert len(ours) == len(theirs)
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a, b, atol=atol)


def count_kernel_calls(monkeypatch, kind):
    """A list with one entry for each call of the kernel `kind` by a layer."""
    calls, kernel = [], getattr(kernels, kind)
    monkeypatch.setattr(kernels, kind, lambda *a, **k: calls.append(1) or kernel(*a, **k))
    return calls


# Computed by Keras' loop with `fused="auto"`.
REFUSED = {
    "relu": {"activation": "relu"},
    "linear": {"activation": None},
    "hard_sigmoid": {"recurrent_activation": "hard_sigmoid"},
    "recurrent_dropout": {"recurrent_dropout": 0.5},
    "unroll": {"unroll": True},
    # Keras' own call raises with this and `use_cudnn="auto"`: it expands a list of masks.
    "implementation_1": {"dropout": 0.5, "implementation": 1, "use_cudnn": False},
    "reset_before": {"reset_after": False},
}
# Keras' backends differ in masked steps before the first valid one of an initial state.
FROM_STATE = itertools.product(
    ["plain", "backwards_both", "zeros_last"], ["right_padded", "scattered"], [True]
)


@pytest.mark.parametrize(
    ("settings", "mask", "with_state"),
    [*itertools.product(SETTINGS, ["dense", "right_padded", "scattered"], [False]), *FROM_STATE],
)
@pytest.mark.parametrize("kind", OURS)
def test_outputs_are_keras(kind, settings, mask, with_state, monkeypatch):
    ours, theirs = pair(kind, fused=True, **SETTINGS[settings])
    calls = count_kernel_calls(monkeypatch, kind)
    options = {"mask": MASKS[mask], "initial_state": states(kind) if with_state else None}
    assert_same(arrays(ours(inputs(), **options)), arrays(theirs(inputs(), **options)))
    assert len(calls) == 1


@pytest.mark.parametrize("mask", ["dense", "right_padded"])
@pytest.mark.parametrize("kind", OURS)
def test_stateful(kind, mask):
    settings = {"stateful": True, "return_sequences": True}
    ours, theirs = pair(kind, fused=True, **settings)
    mask = MASKS[mask]
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


@pytest.mark.parametrize(
    ("kind", "settings"),
    [(kind, name) for kind in OURS for name in REFUSED if (kind, name) != ("lstm", "reset_before")],
)
def test_unsupported_settings_fall_back_or_raise(kind, settings, monkeypatch):
    settings = REFUSED[settings]
    calls = count_kernel_calls(monkeypatch, kind)
    ours, theirs = pair(kind, **settings)
    x, mask = inputs(), MASKS["right_padded"]
    for training in (False, True):
        assert_same(
            arrays(ours(x, mask=mask, training=training)),
            arrays(theirs(x, mask=mask, training=training)),
        )
    assert calls == []
    with pytest.raises(ValueError, match="`fused=True`, but the fused kernel"):
        OURS[kind](4, fused=True, **settings)


@pytest.mark.parametrize("kind", OURS)
def test_fused_false_is_keras_loop(kind, monkeypatch):
    calls = count_kernel_calls(monkeypatch, kind)
    ours, theirs = pair(kind, fused=False, return_sequences=True)
    assert_same(arrays(ours(inputs())), arrays(theirs(inputs())), atol=0)
    assert calls == []


@pytest.mark.parametrize("kind", OURS)
def test_config_and_weights_are_keras_and_fused(kind):
    ours, theirs = pair(kind, **SETTINGS["both"], dropout=0.25)
    config, expected = ours.get_config(), theirs.get_config()
    assert config.pop("fused") == "auto"
    for c in (config, expected):
        c.pop("name")
    assert config == expected
    assert [w.path.split("/")[1:] for w in ours.weights] == [
        w.path.split("/")[1:] for w in theirs.weights
    ]
    again = OURS[kind].from_config(OURS[kind](4, fused=True).get_config())
    assert again.fused is True
    assert keras.saving.get_registered_name(OURS[kind]) == f"keras_qa>{OURS[kind].__name__}"


def small_model(layer_class):
    ids = keras.Input((None,), dtype="int32")
    x = keras.layers.Embedding(20, 6, mask_zero=True)(ids)
    x = keras.layers.Bidirectional(layer_class(4))(x)
    return keras.Model(ids, keras.layers.Dense(3, activation="softmax")(x))


# Keras 3.15 converts variables to NumPy in a way that NumPy 2.4 warns about.
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
@pytest.mark.parametrize("kind", OURS)
def test_weights_load_both_ways(kind, tmp_path):
    keras.utils.set_random_seed(1)
    ours, theirs, others = map(small_model, (OURS[kind], KERAS[kind], KERAS[kind]))
    rng = np.random.default_rng(0)
    ids = rng.integers(1, 20, (32, 9)) * (np.arange(9) < rng.integers(0, 10, 32)[:, None])
    expected = to_numpy(theirs(ids))
    for model, loaded in ((theirs, ours), (ours, others)):
        model.save_weights(tmp_path / "model.weights.h5")
        loaded.load_weights(tmp_path / "model.weights.h5")
        np.testing.assert_allclose(to_numpy(loaded(ids)), expected, atol=1e-5)
