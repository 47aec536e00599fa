"""From the same start all backends learn the same: the losses of 24 steps."""

import itertools

import numpy as np
import pytest
from interpreters import BACKENDS


@pytest.mark.parametrize(
    "kind", ["classifier", "memory-network", "universal-transformer", "reader", "backbone"]
)
def test_the_same_start_gives_the_same_losses(folder, kind: str) -> None:
    found = [np.load(folder / "steps" / f"{backend}.npz")[kind] for backend in BACKENDS]
    for one, other in itertools.combinations(found, 2):
        np.testing.assert_allclose(one, other, rtol=1e-4)
    # They learn: the mean of the second epoch is lower than that of the first.
    assert found[0][-1] < 0.99 * found[0][len(found[0]) // 2 - 1]
