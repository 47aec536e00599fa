"""`skip_initializers`: weights start with zeros, whose memory is free once they are replaced."""

import pathlib

import keras
import numpy as np
import pytest

from keras_qa import layers
from keras_qa.layers import Dense, Embedding, kernels
from keras_qa.layers.base_layer import skip_initializers

MIB = 2**20


def memory() -> int:
    """Bytes of anonymous memory of this process."""
    lines = pathlib.Path("/proc/self/status").read_text().splitlines()
    (line,) = (line for line in lines if line.startswith("RssAnon"))
    return int(line.split()[1]) * 1024


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16", "int32"])
@pytest.mark.parametrize("shape", [(3, 5), (7,), (), (0, 4)])
def test_zeros_of_the_kernel(shape, dtype: str) -> None:
    zeros = kernels.zeros(shape, dtype)
    assert keras.backend.standardize_dtype(zeros.dtype) == dtype
    assert tuple(zeros.shape) == shape
    assert not keras.ops.convert_to_numpy(keras.ops.cast(zeros, "float32")).any()


def test_weights_that_start_with_zeros_train() -> None:
    x, y = np.array([[1.0, 2.0], [3.0, -1.0]]), np.array([[1.0], [2.0]])
    with skip_initializers():
        layer = Dense(1)
        model = keras.Sequential([keras.Input((2,)), layer])
    model.compile(keras.optimizers.SGD(0.1), "mse")
    model.fit(x, y, epochs=2, verbose=0)
    kernel, bias = np.zeros((2, 1)), np.zeros(1)
    for _ in range(2):
        errors = x @ kernel + bias - y
        kernel, bias = kernel - 0.1 * x.T @ errors, bias - 0.1 * errors.sum(axis=0)
    np.testing.assert_allclose(keras.ops.convert_to_numpy(layer.kernel), kernel, rtol=1e-5)
    np.testing.assert_allclose(keras.ops.convert_to_numpy(layer.bias), bias, rtol=1e-5)


def test_a_recurrent_layer_restores_its_initializers() -> None:
    def bias(layer) -> list[float]:
        layer.build((None, None, 2))
        return keras.ops.convert_to_numpy(layer.cell.bias).tolist()

    own, follows = layers.LSTM(1), layers.LSTM(1)
    assert bias(own) == [0.0, 1.0, 0.0, 0.0]
    with skip_initializers():
        assert bias(follows) == [0.0] * 4
    assert follows.get_config() == own.get_config() | {"name": follows.name}
    assert follows.cell.unit_forget_bias


def test_replaced_zeros_take_no_memory() -> None:
    # Large, since threads of earlier tests may take 40 MiB meanwhile.
    rows = np.ones((2**21, 32), "float32")
    assert rows.nbytes == 256 * MIB
    layer = Embedding(*rows.shape)
    before = memory()
    with skip_initializers():
        layer.build()
    layer.embeddings.assign(rows)
    del rows
    assert memory() - before < 96 * MIB
    assert keras.ops.convert_to_numpy(layer.embeddings[-1]).tolist() == [1.0] * 32
