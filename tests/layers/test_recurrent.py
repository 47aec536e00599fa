"""`LSTM` and `GRU` against Keras' own layers on the same backend: one table of settings."""

import keras
import numpy as np
import pytest
from backend_calls import to_numpy
from kernel_cases import MASKS
from recurrent_cases import (
    BATCH,
    FEATURES,
    KERAS,
    OURS,
    SETTINGS,
    STEPS,
    arrays,
    assert_same,
    count_kernel_calls,
    inputs,
    layer_gradients,
    pair,
    states,
)

from keras_qa import kernels
from keras_qa.layers.recurrent import GRU

# Usual values of `jit_compile` on each backend. XLA takes long to compile Keras' loop with its
# gradient, so only one layer is trained with it on TensorFlow.
TRAINED = {
    "tensorflow": [
        ("lstm", False),
        pytest.param("gru", False, marks=pytest.mark.full),
        ("lstm", True),
    ],
    "torch": [("lstm", False), ("gru", False)],
    "jax": [("lstm", True), ("gru", True)],
}[keras.config.backend()]
# Any mask, not only right-padded ones.
MASK_NAMES = ["dense", "right_padded", "scattered"]
# Computed by Keras' loop with `fused="auto"`.
REFUSED = {
    "relu": {"activation": "relu"},
    "linear": {"activation": None},
    "hard_sigmoid": {"recurrent_activation": "hard_sigmoid"},
    "recurrent_dropout": {"recurrent_dropout": 0.5},
    "unroll": {"unroll": True},
    # Keras' own call raises with this and `use_cudnn="auto"`: it expands a list of masks.
    "implementation_1": {"dropout": 0.5, "implementation": 1, "use_cudnn": False},
}


@pytest.mark.parametrize("mask", MASK_NAMES)
@pytest.mark.parametrize("settings", SETTINGS)
@pytest.mark.parametrize("kind", OURS)
def test_outputs_are_keras(kind, settings, mask, monkeypatch):
    ours, theirs = pair(kind, fused=True, **SETTINGS[settings])
    calls, mask = count_kernel_calls(monkeypatch, kind), MASKS[mask]
    x = inputs()
    assert_same(arrays(ours(x, mask=mask)), arrays(theirs(x, mask=mask)))
    assert len(calls) == 1


@pytest.mark.parametrize("mask", ["right_padded", "scattered"])
@pytest.mark.parametrize("settings", ["plain", "backwards_both", "zeros_last"])
@pytest.mark.parametrize("kind", OURS)
def test_outputs_from_an_initial_state_are_keras(kind, settings, mask):
    # Keras' backends differ in masked steps before the first valid one.
    ours, theirs = pair(kind, fused=True, **SETTINGS[settings])
    options = {"mask": MASKS[mask], "initial_state": states(kind)}
    assert_same(arrays(ours(inputs(), **options)), arrays(theirs(inputs(), **options)))


@pytest.mark.parametrize(
    ("settings", "mask", "with_state"),
    [
        ("both", "dense", False),
        ("both", "right_padded", True),
        ("backwards_both", "right_padded", False),
        ("zeros", "scattered", False),
    ],
)
@pytest.mark.parametrize("kind", OURS)
def test_gradients_are_keras(kind, settings, mask, with_state):
    ours, theirs = pair(kind, fused=True, **SETTINGS[settings])
    state = states(kind) if with_state else None
    got, expected = (
        layer_gradients(layer, inputs(), MASKS[mask], state) for layer in (ours, theirs)
    )
    assert_same(got, expected, atol=1e-4)


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


# Half precision: Keras rounds at each of the 7 steps, our kernels at some or at the end. States are
# below 4: half a unit in the last place is 2**-10 in float16 and 2**-7 in bfloat16. Four roundings
# on each side bound the difference (see test_kernels).
HALF = {"mixed_float16": 2.0**-7, "mixed_bfloat16": 2.0**-4, "float16": 2.0**-7}
HALF["bfloat16"] = HALF["mixed_bfloat16"]


@pytest.mark.parametrize("policy", HALF)
@pytest.mark.parametrize("mask", ["dense", "right_padded"])
@pytest.mark.parametrize("kind", OURS)
def test_half_precision_policies(kind, mask, policy):
    # Keras' default, an orthogonal matrix, is not available in half precision.
    settings = {"recurrent_initializer": "glorot_uniform", **SETTINGS["both"]}
    ours, theirs = pair(kind, fused=True, dtype=policy, **settings)
    mask = MASKS[mask]
    result = ours(inputs(), mask=mask)
    for r in result:
        assert keras.backend.standardize_dtype(r.dtype) == ours.compute_dtype
    assert_same(arrays(result), arrays(theirs(inputs(), mask=mask)), atol=HALF[policy])


@pytest.mark.parametrize("settings", REFUSED)
@pytest.mark.parametrize("kind", OURS)
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


def test_reset_before_falls_back_or_raises(monkeypatch):
    calls = count_kernel_calls(monkeypatch, "gru")
    ours, theirs = pair("gru", reset_after=False)
    assert_same(arrays(ours(inputs())), arrays(theirs(inputs())))
    assert calls == []
    with pytest.raises(ValueError, match="reset_after"):
        GRU(4, reset_after=False, fused=True)


@pytest.mark.parametrize("kind", OURS)
def test_fused_false_is_keras_loop(kind, monkeypatch):
    calls = count_kernel_calls(monkeypatch, kind)
    ours, theirs = pair(kind, fused=False, return_sequences=True)
    assert_same(arrays(ours(inputs())), arrays(theirs(inputs())), atol=0)
    assert calls == []


@pytest.mark.parametrize("fused", ["auto", True])
def test_an_error_of_the_kernel_is_not_hidden(fused, monkeypatch):
    def broken(*arguments, **options):
        raise NotImplementedError("the kernel is broken")

    ours, _ = pair("lstm", fused=fused)
    monkeypatch.setattr(kernels, "lstm", broken)
    with pytest.raises(NotImplementedError, match="the kernel is broken"):
        ours(inputs())


@pytest.mark.parametrize("merge_mode", ["concat", "sum", None])
@pytest.mark.parametrize("sequences", [False, True])
@pytest.mark.parametrize("kind", OURS)
def test_bidirectional_takes_our_layers(kind, sequences, merge_mode, monkeypatch):
    calls = count_kernel_calls(monkeypatch, kind)
    settings = {"return_sequences": sequences, "return_state": merge_mode == "concat"}
    both = [
        keras.layers.Bidirectional(layer, merge_mode=merge_mode)
        for layer in pair(kind, fused=True, **settings)
    ]
    for layer in both:
        layer.build((BATCH, STEPS, FEATURES))
    assert type(both[0].backward_layer) is OURS[kind]
    assert both[0].backward_layer.fused is True
    rng = np.random.default_rng(5)
    for a, b in zip(both[0].weights, both[1].weights, strict=True):
        weight = rng.normal(size=a.shape)
        a.assign(weight)
        b.assign(weight)
    for name in MASK_NAMES:
        x, mask = inputs(), MASKS[name]
        assert_same(arrays(both[0](x, mask=mask)), arrays(both[1](x, mask=mask)))
    assert len(calls) == 2 * len(MASK_NAMES)


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


def small_model(layer_class, **options):
    ids = keras.Input((None,), dtype="int32")
    x = keras.layers.Embedding(20, 6, mask_zero=True)(ids)
    x = keras.layers.Bidirectional(layer_class(4, **options))(x)
    return keras.Model(ids, keras.layers.Dense(3, activation="softmax")(x))


def small_data():
    rng = np.random.default_rng(0)
    ids = rng.integers(1, 20, (32, 9)).astype("int32")
    ids[np.arange(9) >= rng.integers(0, 10, 32)[:, None]] = 0
    return ids, rng.integers(0, 3, 32).astype("int32")


# Keras 3.15 converts variables to NumPy in a way that NumPy 2.4 warns about.
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
@pytest.mark.parametrize("kind", OURS)
def test_weights_load_both_ways_and_a_model_saves(kind, tmp_path):
    keras.utils.set_random_seed(1)
    ours, theirs = small_model(OURS[kind]), small_model(KERAS[kind])
    ids, _ = small_data()
    theirs.save_weights(tmp_path / "keras.weights.h5")
    ours.load_weights(tmp_path / "keras.weights.h5")
    expected = to_numpy(theirs(ids))
    np.testing.assert_allclose(to_numpy(ours(ids)), expected, atol=1e-5)
    other = small_model(KERAS[kind])
    ours.save_weights(tmp_path / "ours.weights.h5")
    other.load_weights(tmp_path / "ours.weights.h5")
    np.testing.assert_allclose(to_numpy(other(ids)), expected, atol=1e-5)
    ours.save(tmp_path / "ours.keras")
    loaded = keras.saving.load_model(tmp_path / "ours.keras")
    assert type(loaded.layers[-2].forward_layer) is OURS[kind]
    np.testing.assert_allclose(to_numpy(loaded(ids)), expected, atol=1e-5)


@pytest.mark.parametrize(("kind", "jit_compile"), TRAINED)
def test_the_loss_curve_is_that_of_keras_loop(kind, jit_compile, monkeypatch):
    calls = count_kernel_calls(monkeypatch, kind)
    ids, labels = small_data()
    curves = []
    for fused in (True, False):
        keras.utils.set_random_seed(4)
        model = small_model(OURS[kind], fused=fused)
        model.compile(
            keras.optimizers.Adam(0.02),
            "sparse_categorical_crossentropy",
            jit_compile=jit_compile,
        )
        history = model.fit(ids, labels, epochs=4, batch_size=16, shuffle=False, verbose=0)
        curves.append(history.history["loss"])
    np.testing.assert_allclose(curves[0], curves[1], rtol=1e-4)
    assert curves[0][-1] < curves[0][0] - 0.01
    assert len(calls) >= 2
