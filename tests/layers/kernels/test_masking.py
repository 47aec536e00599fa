"""Loops that end with the longest row."""

import functools

import numpy as np
import pytest
from backend_calls import gradient, gradients, prepared, run
from kernel_cases import GATES, MODES, OPTIONS, case, weighted

from keras_qa.layers import kernels
from keras_qa.layers.kernels import masking, reference

ROWS, STEPS = 5, 43
# More steps than a chunk; in most masks the last chunks have no valid step.
LENGTHS = {
    "short": [13, 3, 1, 0, 5],
    "longer": [13, 30, 22, 0, 1],
    "full": [43, 43, 2, 0, 40],
    "none": [0, 0, 0, 0, 0],
}
MASKS = {name: np.arange(STEPS) < np.array(sizes)[:, None] for name, sizes in LENGTHS.items()}
MASKS["scattered"] = (np.random.default_rng(1).random((ROWS, STEPS)) < 0.5) & MASKS["longer"]


def call(module, kind, options):
    """`fn(mask, x, *states, *weights)` for the kernel `kind` of `module`."""

    def fn(mask, x, *others):
        results = getattr(module, kind)(x, mask, *others, **OPTIONS[kind][options])
        return [result for result in results if result is not None]

    return fn


def arrays_of(kind, mask):
    return [MASKS[mask], *case(kind, steps=STEPS)]


def ending_early(fn):
    """Traces `fn` inside `masking.ending_early`."""

    def traced(*tensors):
        with masking.ending_early():
            return fn(*tensors)

    return traced


@functools.cache
def compiled(kind, options):
    """Compiled values and gradients as functions of a mask and arrays."""
    fn = ending_early(call(kernels, kind, options))
    arrays, mode = arrays_of(kind, "full"), MODES[-1]
    return prepared(fn, arrays, mode), prepared(gradient(weighted(fn), arrays), arrays, mode)


@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("options", [0, 1, 3])
@pytest.mark.parametrize("kind", GATES)
def test_skipped_steps_change_nothing(kind, options, mask):
    loop, arrays = call(reference, kind, options), arrays_of(kind, mask)
    values, slopes = compiled(kind, options)
    for got, expected in zip(values(arrays), run(loop, arrays), strict=True):
        np.testing.assert_allclose(got, expected, atol=1e-5)
    for got, expected in zip(slopes(arrays), gradients(weighted(loop), arrays), strict=True):
        np.testing.assert_allclose(got, expected, atol=1e-4)
