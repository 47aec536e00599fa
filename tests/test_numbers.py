"""Computations that several rooms share."""

import math

import numpy as np
import pytest

from keras_qa._numbers import POSITIONS, rows_in_cache, sigmoid


def test_the_sigmoid_neither_overflows_nor_loses_small_values() -> None:
    logits = np.array([-1e6, -700.0, -2.0, 0.0, 2.0, 40.0, 1e6])
    expected = [0.0, math.exp(-700), 1 / (1 + math.exp(2)), 0.5, 1 / (1 + math.exp(-2)), 1.0, 1.0]
    np.testing.assert_allclose(sigmoid(logits), expected, rtol=1e-12)
    assert sigmoid(logits.astype("float32")).dtype == "float32"


@pytest.mark.parametrize("width", [0, 1, 3, 12, 48, 100, 384, 768, 1535, 1536, 1537, 10**6])
def test_rows_are_the_largest_power_of_two_that_fits(width: int) -> None:
    rows = rows_in_cache(width)
    assert rows.bit_count() == 1
    assert rows == 1 or rows * width <= POSITIONS
    assert 2 * rows * max(width, 1) > POSITIONS
