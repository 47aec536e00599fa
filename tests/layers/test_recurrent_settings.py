"""`LSTM` and `GRU`: which settings the kernels compute, configs, and weights in files."""

import keras
import numpy as np
import pytest
from backend_calls import to_numpy
from recurrent_pairs import (
    KERAS,
    MASKED,
    OURS,
    SETTINGS,
    arrays,
    assert_same,
    count_kernel_calls,
    inputs,
    pair,
)

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


@pytest.mark.parametrize(
    ("kind", "settings"),
    [(kind, name) for kind in OURS for name in REFUSED if (kind, name) != ("lstm", "reset_before")],
)
def test_unsupported_settings_fall_back_or_raise(kind, settings, monkeypatch):
    settings = REFUSED[settings]
    calls = count_kernel_calls(monkeypatch, kind)
    ours, theirs = pair(kind, **settings)
    x, mask = inputs(), MASKED
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
