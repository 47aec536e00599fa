"""`layers.Dense` against Keras' layer."""

import keras
import numpy as np
import pytest

import keras_qa

RNG = np.random.default_rng(0)
FEED = RNG.normal(size=(8, 5, 6)).astype("float32")
LABELS = RNG.normal(size=(8, 5, 4)).astype("float32")


def model_of(dense: type[keras.layers.Dense], lora: bool, **options) -> keras.Model:
    layer = dense(4, activation="tanh", name="dense", **options)
    model = keras.Sequential([keras.Input((5, 6)), layer])
    if lora:
        layer.enable_lora(2, lora_alpha=3)
    rng = np.random.default_rng(1)
    model.set_weights([rng.normal(size=weight.shape) for weight in model.weights])
    model.compile(keras.optimizers.SGD(0.1), "mse")
    return model


@pytest.mark.parametrize("use_bias", [True, False])
@pytest.mark.parametrize("lora", [True, False])
def test_predicts_and_trains_as_in_keras(lora, use_bias) -> None:
    ours, theirs = (
        model_of(dense, lora, use_bias=use_bias)
        for dense in (keras_qa.layers.Dense, keras.layers.Dense)
    )
    # Keras' layer is not what is traced here.
    theirs.run_eagerly = keras.config.backend() == "tensorflow"
    expected = theirs.predict(FEED, verbose=0)
    np.testing.assert_allclose(ours.predict(FEED, verbose=0), expected, atol=1e-5)
    kernel = next(weight for weight in ours.weights if weight.name == "kernel").numpy()
    for model in (ours, theirs):
        model.fit(FEED, LABELS, batch_size=4, epochs=3, shuffle=False, verbose=0)
    for one, other in zip(ours.weights, theirs.weights, strict=True):
        np.testing.assert_allclose(one.numpy(), other.numpy(), atol=1e-5)
    (after,) = (weight for weight in ours.weights if weight.name == "kernel")
    assert np.array_equal(after.numpy(), kernel) == lora


@pytest.mark.parametrize("dtype", ["int32", "float16"])
def test_inputs_of_another_dtype_than_the_kernel(dtype) -> None:
    ours, theirs = (
        dense(4, kernel_initializer="ones", autocast=False)
        for dense in (keras_qa.layers.Dense, keras.layers.Dense)
    )
    inputs = keras.ops.convert_to_tensor(np.arange(6).reshape(2, 3).astype(dtype))
    expected = theirs(inputs)
    found = ours(inputs)
    assert found.dtype == expected.dtype
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(found), [[3.0] * 4, [12.0] * 4])
