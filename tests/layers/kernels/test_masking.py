"""Loops that end with the longest row."""

import numpy as np
import pytest
from kernel_cases import GATES, MODES, OPTIONS, beside_reference

from keras_qa.layers.kernels import masking

# JAX reads two chunks of 16 steps; in most masks the last steps, or the last chunk, are not valid.
ROWS, STEPS = 5, 32
LENGTHS = {
    "short": [13, 3, 1, 0, 5],
    "longer": [13, 20, 22, 0, 1],
    "full": [32, 32, 2, 0, 28],
    "none": [0, 0, 0, 0, 0],
}
MASKS = {name: np.arange(STEPS) < np.array(sizes)[:, None] for name, sizes in LENGTHS.items()}
MASKS["scattered"] = (np.random.default_rng(1).random((ROWS, STEPS)) < 0.5) & MASKS["longer"]


# The results of settings 0 are among those of settings 1.
@pytest.mark.parametrize("options", [pytest.param(0, marks=pytest.mark.full), 1, 3])
@pytest.mark.parametrize("kind", GATES)
def test_skipped_steps_change_nothing(kind, options):
    with masking.ending_early():
        values, slopes = beside_reference(
            kind, MASKS.values(), MODES[-1], steps=STEPS, **OPTIONS[kind][options]
        )
    for got, expected in values:
        np.testing.assert_allclose(got, expected, atol=1e-5)
    for got, expected in slopes:
        np.testing.assert_allclose(got, expected, atol=1e-4)
