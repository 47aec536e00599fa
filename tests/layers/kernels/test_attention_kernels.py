"""Attention and its gradients against NumPy, with biases of every shape."""

import keras
import numpy as np
import pytest
from backend_calls import BACKEND, gradients, to_numpy
from keras import ops

from keras_qa.layers import kernels

BATCH, STEPS, HEADS, SIZE = 2, 5, 3, 4


def expected(query, key, value, bias, scale, kept=1.0):
    scores = np.einsum("bhqd,bhkd->bhqk", query, key) * scale + bias
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    weights = weights / weights.sum(-1, keepdims=True) * kept
    return np.einsum("bhqk,bhkd->bhqd", weights, value)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize(
    "shape",
    [(1, 1, 1, STEPS), (BATCH, 1, 1, STEPS), (1, HEADS, STEPS, STEPS), (BATCH, 1, STEPS, STEPS)],
)
def test_attention(shape: tuple[int, ...], dtype: str) -> None:
    rng = np.random.default_rng(0)
    # Queries, keys and values are parts of one array, as after a joint projection.
    joined = rng.normal(size=(BATCH, STEPS, 3, HEADS, SIZE)).astype("float32")
    bias = np.where(rng.random(shape) < 0.3, -1e9, rng.normal(size=shape)).astype("float32")
    bias[..., 0] = 0.5
    tensor = ops.cast(joined, dtype)
    parts = ops.unstack(ops.transpose(tensor, (2, 0, 3, 1, 4)), num=3)
    found = kernels.attention(*parts, ops.convert_to_tensor(bias), 0.3)
    assert keras.backend.standardize_dtype(found.dtype) == dtype
    values = expected(*joined.transpose(2, 0, 3, 1, 4), bias, 0.3)
    tolerance = 1e-6 if dtype == "float32" else 0.03
    found = to_numpy(ops.cast(found, "float32"))
    np.testing.assert_allclose(found, values, rtol=tolerance, atol=tolerance)


def test_drop_changes_the_attention_weights() -> None:
    rng = np.random.default_rng(1)
    query, key, value = rng.normal(size=(3, BATCH, HEADS, STEPS, SIZE)).astype("float32")
    bias = rng.normal(size=(1, HEADS, STEPS, STEPS)).astype("float32")
    kept = rng.integers(0, 3, (BATCH, HEADS, STEPS, STEPS)).astype("float32")
    found = kernels.attention(
        *map(ops.convert_to_tensor, (query, key, value, bias)),
        0.3,
        lambda weights: ops.multiply(weights, kept),
    )
    wanted = expected(query, key, value, bias, 0.3, kept)
    np.testing.assert_allclose(to_numpy(found), wanted, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("learns_from_zeros", [False, True])
@pytest.mark.parametrize("drops", [False, True])
def test_gradients_equal_finite_differences(drops: bool, learns_from_zeros: bool) -> None:
    rng = np.random.default_rng(2)
    parts = [rng.normal(size=(BATCH, HEADS, STEPS, SIZE)).astype("float32") for _ in range(3)]
    bias = rng.normal(size=(1, HEADS, STEPS, STEPS)).astype("float32")
    parts.append(np.zeros((1, 1, 1, STEPS), "float32") if learns_from_zeros else bias)
    kept = rng.integers(0, 3, (BATCH, HEADS, STEPS, STEPS)).astype("float32")
    factors = rng.normal(size=(BATCH, HEADS, STEPS, SIZE)).astype("float32")
    step = 1e-5

    def drop(weights):
        return ops.multiply(weights, kept)

    found = gradients(
        lambda *tensors: ops.sum(
            ops.multiply(kernels.attention(*tensors, 0.3, drop if drops else None), factors)
        ),
        parts,
    )
    for place, gradient in enumerate(found):
        direction = rng.normal(size=parts[place].shape)
        ends = []
        for sign in (1, -1):
            moved = [part.astype("float64") for part in parts]
            moved[place] += sign * step * direction
            ends.append((expected(*moved, 0.3, kept if drops else 1.0) * factors).sum())
        slope = (ends[0] - ends[1]) / (2 * step)
        np.testing.assert_allclose((gradient * direction).sum(), slope, rtol=1e-4)


if BACKEND == "torch":
    import torch

    @pytest.mark.parametrize("width", [1, STEPS])
    @pytest.mark.parametrize("masked", [[], [0], [1], [0, 1]])
    def test_a_bias_of_zeros_is_left_out(masked: list[int], width: int) -> None:
        rng = np.random.default_rng(4)
        parts = rng.normal(size=(3, BATCH, HEADS, STEPS, SIZE)).astype("float32")
        bias = np.zeros((BATCH, 1, width, STEPS), "float32")
        bias[masked, ..., -1] = -1e9
        with torch.inference_mode():
            found = kernels.attention(*map(ops.convert_to_tensor, (*parts, bias)), 0.3)
        wanted = expected(*parts, bias, 0.3)
        np.testing.assert_allclose(to_numpy(found), wanted, rtol=1e-6, atol=1e-6)
