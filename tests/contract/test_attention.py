"""Attention against NumPy, with every shape that its bias may have."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_qa import kernels

BATCH, STEPS, HEADS, SIZE = 2, 5, 3, 4


def expected(query, key, value, bias, scale):
    scores = np.einsum("bqhd,bkhd->bhqk", query, key) * scale + bias
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    return np.einsum("bhqk,bkhd->bqhd", weights / weights.sum(-1, keepdims=True), value)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize(
    "shape",
    [(1, 1, 1, STEPS), (BATCH, 1, 1, STEPS), (1, HEADS, STEPS, STEPS), (BATCH, 1, STEPS, STEPS)],
)
def test_attention(shape: tuple[int, ...], dtype: str) -> None:
    rng = np.random.default_rng(0)
    # Queries, keys and values are parts of one array, as they come out of one product.
    joined = rng.normal(size=(BATCH, STEPS, 3, HEADS, SIZE)).astype("float32")
    bias = np.where(rng.random(shape) < 0.3, -1e9, rng.normal(size=shape)).astype("float32")
    bias[..., 0] = 0.5
    tensor = ops.cast(joined, dtype)
    parts = [tensor[:, :, place] for place in range(3)]
    found = kernels.attention(*parts, ops.convert_to_tensor(bias), 0.3)
    assert keras.backend.standardize_dtype(found.dtype) == dtype
    values = expected(*np.moveaxis(joined, 2, 0), bias, 0.3)
    tolerance = 1e-6 if dtype == "float32" else 0.03
    found = ops.convert_to_numpy(ops.cast(found, "float32"))
    np.testing.assert_allclose(found, values, rtol=tolerance, atol=tolerance)
