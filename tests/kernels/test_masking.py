"""Loops that end with the longest row, with ids and a table as inputs."""

import functools

import numpy as np
import pytest
from backend_calls import gradient, gradients, prepared, run
from keras import ops
from kernel_cases import GATES, MODES, OPTIONS, UNITS, case, weighted

from keras_qa import kernels
from keras_qa.kernels import masking, reference

ROWS, STEPS, WORDS, WIDTH = 5, 43, 11, 3
# More steps than a chunk; in most masks the last chunks have no valid step.
LENGTHS = {
    "short": [13, 3, 1, 0, 5],
    "longer": [13, 30, 22, 0, 1],
    "full": [43, 43, 2, 0, 40],
    "none": [0, 0, 0, 0, 0],
}
MASKS = {name: np.arange(STEPS) < np.array(sizes)[:, None] for name, sizes in LENGTHS.items()}
MASKS["scattered"] = (np.random.default_rng(1).random((ROWS, STEPS)) < 0.5) & MASKS["longer"]


def reading(module, kind, options, training=True):
    """`fn(mask, table, *weights)` with fixed ids and initial states."""
    rng = np.random.default_rng(5)
    ids = rng.integers(0, WORDS, (ROWS, STEPS)).astype("int32")
    states = [rng.normal(size=(ROWS, UNITS)).astype("float32") for _ in range(GATES[kind] - 2)]

    def fn(mask, table, *weights):
        # An LSTM has two states, a GRU one.
        x, *initial = map(ops.convert_to_tensor, [ids, *states])
        results = getattr(module, kind)(
            x, mask, *initial, *weights, table=table, training=training, **options
        )
        return [result for result in results if result is not None]

    return fn


def arrays_of(kind, mask):
    table = np.random.default_rng(4).normal(size=(WORDS, WIDTH)).astype("float32")
    return [MASKS[mask], table, *case(kind)[-3:]]


@functools.cache
def expected(kind, options, mask):
    fn, arrays = reading(reference, kind, OPTIONS[kind][options]), arrays_of(kind, mask)
    return run(fn, arrays), gradients(weighted(fn), arrays)


def ending_early(fn):
    """Traces `fn` inside `masking.ending_early`."""

    def traced(*tensors):
        with masking.ending_early():
            return fn(*tensors)

    return traced


@functools.cache
def compiled(kind, options):
    """Compiled values and gradients as functions of a mask and weights."""
    fn = ending_early(reading(kernels, kind, OPTIONS[kind][options]))
    arrays, mode = arrays_of(kind, "full"), MODES[-1]
    return prepared(fn, arrays, mode), prepared(gradient(weighted(fn), arrays), arrays, mode)


@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("options", [0, 1, 3])
@pytest.mark.parametrize("kind", GATES)
def test_skipped_steps_change_nothing(kind, options, mask):
    for fn, values, atol in zip(
        compiled(kind, options), expected(kind, options, mask), (1e-5, 1e-4), strict=True
    ):
        for got, value in zip(fn(arrays_of(kind, mask)), values, strict=True):
            np.testing.assert_allclose(got, value, atol=atol)


@pytest.mark.parametrize("mask", ["short", "none"])
@pytest.mark.parametrize("kind", GATES)
def test_ids_and_a_table_without_compilation(kind, mask):
    values, slopes = expected(kind, 1, mask)
    arrays = arrays_of(kind, mask)
    for training in (True, False):
        fn = reading(kernels, kind, OPTIONS[kind][1], training)
        for got, value in zip(run(fn, arrays), values, strict=True):
            np.testing.assert_allclose(got, value, atol=1e-5)
        for got, slope in zip(gradients(weighted(fn), arrays), slopes, strict=True):
            np.testing.assert_allclose(got, slope, atol=1e-4)
