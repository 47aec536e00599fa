"""Dropout: the random numbers of the kernels, and the layer."""

import keras
import numpy as np
import pytest
from backend_calls import run, to_numpy
from keras import ops
from kernel_cases import MODES
from layer_cases import IDS, flat

from keras_qa import layers
from keras_qa.engine import execution
from keras_qa.layers import kernels


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
def test_dropout_has_its_rate_and_scales(rate, mode):
    # Kernels draw several numbers from one word; the last word may not be used completely.
    x = np.random.default_rng(0).uniform(1, 2, (3, 100_003)).astype("float32")

    def dropped(seed):
        def drop(x, *rest):
            return [kernels.dropout(x, rate, seed)]

        return run(drop, [x, x[:1], x[:1], x[:1]], mode)[0]

    first, second = (dropped(keras.random.SeedGenerator(number)) for number in (5, 6))
    kept, again = first != 0, second != 0
    np.testing.assert_allclose(first[kept], x[kept] / (1 - rate), rtol=1e-6)
    row, beside = kept.ravel(), again.ravel()
    # Five standard deviations, for entries of one word, of neighbouring words and of two calls.
    for part in (row, *(row[place::4] for place in range(4)), *kept, again):
        assert abs(np.mean(part) - (1 - rate)) < 5 * np.sqrt(rate * (1 - rate) / part.size)
    pairs = [(row[step:], row[:-step]) for step in (1, 2, 3, 4)] + [(row, beside)]
    for pair in pairs:
        assert abs(np.corrcoef(pair)[0, 1]) < 5 / np.sqrt(row.size)


def test_only_on_jax_the_numbers_are_those_of_keras() -> None:
    x = ops.convert_to_tensor(np.random.default_rng(0).uniform(1, 2, (3, 4, 1001)), "float32")
    for rate in (0.1, 0.25, 0.5, 1 / 3):
        for number in range(3):
            got, wanted = (
                to_numpy(drop(x, rate, seed=keras.random.SeedGenerator(number)))
                for drop in (kernels.dropout, keras.random.dropout)
            )
            assert np.array_equal(got, wanted) == (keras.backend.backend() == "jax")


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_dropout_in_half_precision(dtype):
    ones = ops.ones((64, 33), dtype)
    got = kernels.dropout(ones, 0.5, keras.random.SeedGenerator(5))
    assert keras.backend.standardize_dtype(got.dtype) == dtype
    assert set(np.unique(to_numpy(ops.cast(got, "float32")))) == {0.0, 2.0}


def test_equal_seeds_draw_equal_numbers():
    ones = ops.ones((64, 33))

    def drawn(number):
        execution.seed(number)
        return to_numpy(kernels.dropout(ones, 0.5, keras.random.SeedGenerator(number)))

    np.testing.assert_array_equal(drawn(1), drawn(1))
    assert not np.array_equal(drawn(1), drawn(2))


@pytest.mark.parametrize("options", [{}, {"noise_shape": (None, 1, 4, 1)}])
def test_dropout_with_a_seed_equals_keras_layer(options: dict) -> None:
    inputs = np.random.default_rng(0).normal(size=(3, 5, 4, 7)).astype("float32")
    layer, keras_layer = (
        module.Dropout(0.25, seed=3, **options) for module in (layers, keras.layers)
    )
    np.testing.assert_array_equal(flat(layer(inputs)), flat(inputs))
    for _ in range(2):
        got, expected = (flat(each(inputs, training=True)) for each in (layer, keras_layer))
        np.testing.assert_array_equal(got, expected)
        assert 0 < np.mean(got == 0) < 1
    assert layers.Dropout.from_config(layer.get_config()).rate == 0.25


@pytest.mark.parametrize(("rate", "least", "most"), [(0.0, 0, 0), (0.25, 0.15, 0.35), (1.0, 1, 1)])
def test_the_layer_drops_its_rate(rate: float, least: float, most: float) -> None:
    inputs = np.random.default_rng(0).uniform(1, 2, size=(30, 5, 7)).astype("float32")
    layer = layers.Dropout(rate)
    np.testing.assert_array_equal(flat(layer(inputs)), flat(inputs))
    got = flat(layer(inputs, training=True)).reshape(inputs.shape)
    kept = got != 0
    np.testing.assert_allclose(got[kept], inputs[kept] / max(1 - rate, 1e-9), rtol=1e-6)
    assert least <= 1 - np.mean(kept) <= most


def test_dropout_of_an_encoder_acts_in_training_only() -> None:
    layer = layers.SequenceEncoder(10, 50, 3, dropout=0.5)
    np.testing.assert_array_equal(flat(layer(IDS)), flat(layer(IDS)))
    trained = flat(layer(IDS, training=True))
    assert not np.allclose(trained, flat(layer(IDS)), atol=1e-3)
