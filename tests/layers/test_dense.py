"""`layers.Dense` with LoRA against Keras' layer."""

import keras
import numpy as np
import pytest

import keras_qa

RNG = np.random.default_rng(0)
FEED = RNG.normal(size=(8, 5, 6)).astype("float32")
LABELS = RNG.normal(size=(8, 5, 4)).astype("float32")


def model_of(dense: type[keras.layers.Dense], **options) -> keras.Model:
    layer = dense(4, activation="tanh", name="dense", **options)
    model = keras.Sequential([keras.Input((5, 6)), layer])
    layer.enable_lora(2, lora_alpha=3)
    rng = np.random.default_rng(1)
    model.set_weights([rng.normal(size=weight.shape) for weight in model.weights])
    model.compile(keras.optimizers.SGD(0.1), "mse")
    return model


@pytest.mark.parametrize("use_bias", [True, False])
def test_lora_predicts_and_trains_as_in_keras(use_bias) -> None:
    ours, theirs = (
        model_of(dense, use_bias=use_bias) for dense in (keras_qa.layers.Dense, keras.layers.Dense)
    )
    expected = theirs.predict(FEED, verbose=0)
    np.testing.assert_allclose(ours.predict(FEED, verbose=0), expected, atol=1e-5)
    kernel = next(weight for weight in ours.weights if weight.name == "kernel").numpy()
    for model in (ours, theirs):
        model.fit(FEED, LABELS, batch_size=4, epochs=3, shuffle=False, verbose=0)
    for one, other in zip(ours.weights, theirs.weights, strict=True):
        np.testing.assert_allclose(one.numpy(), other.numpy(), atol=1e-5)
    (after,) = (weight for weight in ours.weights if weight.name == "kernel")
    np.testing.assert_array_equal(after.numpy(), kernel)
