"""Predictions of an encoder equal those of Keras after changes of its layers."""

import functools
import math

import keras
import numpy as np
import pytest
from as_keras import (
    DENSE_CHANGES,
    keras_model,
    lora,
    overridden,
    own_activation,
    quantized,
)
from keras import ops

import keras_qa
from keras_qa.layers import TransformerEncoder, kernels

rng = np.random.default_rng(0)


def encoder(**settings) -> keras_qa.models.QAModel:
    keras.utils.set_random_seed(1)
    layer = TransformerEncoder(30, 2, 2, 8, 16, num_segments=0, name="encoder", **settings)
    inputs = [keras.Input((None,), dtype="int32", name=name) for name in layer.input_names]
    model = keras_qa.models.QAModel(inputs, layer(inputs))
    # Large weights, so that each change is visible.
    model.set_weights([rng.normal(scale=0.5, size=weight.shape) for weight in model.get_weights()])
    return model


def feed(rows: int) -> list[np.ndarray]:
    ids = rng.integers(1, 30, (rows, 7)).astype("int32")
    ids[:, 5:] *= rng.integers(0, 2, (rows, 2)).cumprod(axis=1).astype("int32")
    return [ids, (ids > 0).astype("int32")]


def nothing(block) -> None: ...


def activation(block) -> None:
    block.hidden.activation = keras.activations.tanh


def activation_over_positions(block) -> None:
    block.hidden.activation = functools.partial(keras.activations.softmax, axis=1)


def epsilon(block) -> None:
    block.output_norm.epsilon = 3.0


def by_root_mean_square(block) -> None:
    block.output_norm.rms_scaling = True


def over_positions(block) -> None:
    block.output_norm.axis = [1, 2]
    block.output_norm.gamma = block.output_norm.beta = None


def overridden_norm(block) -> None:
    overridden(block.output_norm)


# Changes of one model, one after another. After `over_positions` the norm has no weights.
CHANGES = [
    [nothing, own_activation, lora, quantized],
    [activation, activation_over_positions, overridden, epsilon, over_positions, overridden_norm],
    [by_root_mean_square],
]


# Keras warns about `rms_scaling`.
@pytest.mark.filterwarnings("ignore:.*rms_scaling:UserWarning")
@pytest.mark.parametrize("changes", CHANGES)
def test_a_change_in_a_block_takes_effect(changes) -> None:
    model = encoder()
    x = feed(8)
    before = model.predict(x, batch_size=4, verbose=0)
    block = model.get_layer("encoder").blocks[1]
    for change in changes:
        change(block.hidden if change in DENSE_CHANGES else block)
        # `predict` of Keras would compile for each change.
        expected = ops.convert_to_numpy(keras_model(model)(x))
        after = model.predict(x, batch_size=4, verbose=0)
        np.testing.assert_allclose(after, expected, atol=1e-5, err_msg=change.__name__)
        if keras.config.backend() == "torch":
            # Others compile a new program for one row.
            row = model.predict([part[:1] for part in x], verbose=0)
            np.testing.assert_allclose(row, expected[:1], atol=1e-5, err_msg=change.__name__)
        # int8 is close to float32.
        least = {nothing: -1.0, quantized: 1e-4}.get(change, 1e-2)
        assert np.abs(after - before).max() > least, change.__name__
        assert change is not nothing or np.array_equal(after, before)
        before = after


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_gelu(dtype: str) -> None:
    values = np.linspace(-9, 9, 401, dtype="float32")
    found = kernels.gelu(ops.cast(values, dtype))
    assert keras.backend.standardize_dtype(found.dtype) == dtype
    rounded = ops.convert_to_numpy(ops.cast(ops.cast(values, dtype), "float32"))
    expected = [x * 0.5 * math.erfc(-x / 2**0.5) for x in rounded.tolist()]
    tolerance = 1e-6 if dtype == "float32" else 4e-3
    found = ops.convert_to_numpy(ops.cast(found, "float32"))
    np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance)
