"""Loops that end with the longest row, and words that a kernel looks up itself."""

import functools

import numpy as np
import pytest
from keras import ops
from test_kernels import GATES, MODES, OPTIONS, UNITS, case, gradients, run, weighted

from keras_qa import kernels
from keras_qa.kernels import _reference, early

ROWS, STEPS, WORDS, WIDTH = 5, 43, 11, 3
# More steps than a chunk holds; in most of them the last chunks hold nothing.
LENGTHS = {
    "short": [13, 3, 1, 0, 5],
    "longer": [13, 30, 22, 0, 1],
    "full": [43, 43, 2, 0, 40],
    "none": [0, 0, 0, 0, 0],
}
MASKS = {name: np.arange(STEPS) < np.array(sizes)[:, None] for name, sizes in LENGTHS.items()}
MASKS["scattered"] = (np.random.default_rng(1).random((ROWS, STEPS)) < 0.5) & MASKS["longer"]


def reading(module, kind, mask, options, training=True):
    """`fn(table, *weights)` for words by their ids, from initial states of its own."""
    rng = np.random.default_rng(5)
    ids = rng.integers(0, WORDS, (ROWS, STEPS)).astype("int32")
    states = [rng.normal(size=(ROWS, UNITS)).astype("float32") for _ in range(GATES[kind] - 2)]

    def fn(table, *weights):
        # An LSTM has two states, a GRU one.
        given = map(ops.convert_to_tensor, [ids, mask, *states])
        x, m, *initial = given
        results = getattr(module, kind)(
            x, m, *initial, *weights, table=table, training=training, **options
        )
        return [result for result in results if result is not None]

    return fn


def arrays_of(kind):
    table = np.random.default_rng(4).normal(size=(WORDS, WIDTH)).astype("float32")
    return [table, *case(kind)[-3:]]


@functools.cache
def expected(kind, options, mask):
    fn = reading(_reference, kind, MASKS[mask], OPTIONS[kind][options])
    return run(fn, arrays_of(kind)), gradients(weighted(fn), arrays_of(kind))


def ending_early(fn):
    """What is traced has to be told."""

    def told(*tensors):
        with early.ending_early():
            return fn(*tensors)

    return told


@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("options", [0, 1, 3])
@pytest.mark.parametrize("kind", GATES)
def test_what_is_left_out_changes_nothing(kind, options, mask):
    values, slopes = expected(kind, options, mask)
    fn = ending_early(reading(kernels, kind, MASKS[mask], OPTIONS[kind][options]))
    mode = MODES[-1]
    for got, value in zip(run(fn, arrays_of(kind), mode), values, strict=True):
        np.testing.assert_allclose(got, value, atol=1e-5)
    for got, slope in zip(gradients(weighted(fn), arrays_of(kind), mode), slopes, strict=True):
        np.testing.assert_allclose(got, slope, atol=1e-4)


@pytest.mark.parametrize("mask", ["short", "none"])
@pytest.mark.parametrize("kind", GATES)
def test_words_are_looked_up_outside_of_programs_too(kind, mask):
    values, slopes = expected(kind, 1, mask)
    for training in (True, False):
        fn = reading(kernels, kind, MASKS[mask], OPTIONS[kind][1], training)
        for got, value in zip(run(fn, arrays_of(kind)), values, strict=True):
            np.testing.assert_allclose(got, value, atol=1e-5)
        for got, slope in zip(gradients(weighted(fn), arrays_of(kind)), slopes, strict=True):
            np.testing.assert_allclose(got, slope, atol=1e-4)
