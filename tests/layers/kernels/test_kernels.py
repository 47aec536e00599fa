"""Each backend's kernels against the reference: values and gradients, for every kind of mask."""

import os

import keras
import numpy as np
import pytest
from backend_calls import gradients, run
from keras import ops
from kernel_cases import GATES, MASKS, MODES, OPTIONS, UNITS, beside_reference, call, case

from keras_qa.layers import kernels

BACKEND = keras.config.backend()
# How most tests run a kernel. JAX compiles each eager operation.
MODE = "xla" if BACKEND == "jax" else "eager"


def assert_is_reference(kind, masks, mode=MODE, **options):
    values, slopes = beside_reference(kind, masks, mode, **options)
    for got, expected in values:
        np.testing.assert_allclose(got, expected, atol=1e-5)
    for got, expected in slopes:
        np.testing.assert_allclose(got, expected, atol=1e-4)


# Masks for each of four settings, and those in inference. The effect of a mask depends on the
# direction and on `return_sequences`. In inference, each setting and each mask occurs once.
QUICK = [
    (("right_padded", "scattered"), ("right_padded",)),
    (MASKS, ("dense", "all_masked")),
    (("right_padded", "scattered"), ("left_padded",)),
    (MASKS, ("scattered",)),
]


@pytest.mark.parametrize(
    "masks", [QUICK, pytest.param([(MASKS, MASKS)] * 4, marks=pytest.mark.full)]
)
@pytest.mark.parametrize("options", range(4))
@pytest.mark.parametrize("kind", GATES)
def test_values_and_gradients_equal_the_reference(kind, options, masks):
    masks, inference = ([MASKS[name] for name in names] for names in masks[options])
    assert_is_reference(kind, masks, inference=inference, **OPTIONS[kind][options])


@pytest.mark.parametrize("mode", [mode for mode in MODES if mode != MODE] or MODES)
@pytest.mark.parametrize("kind", GATES)
def test_every_mode_equals_the_reference(kind, mode):
    masks = [MASKS[name] for name in ("dense", "right_padded", "scattered")]
    assert_is_reference(kind, masks[mode == "graph" :], mode, **OPTIONS[kind][3])


@pytest.mark.parametrize(("batch", "steps"), [(1, 3), (5, 1)])
@pytest.mark.parametrize("kind", GATES)
def test_smallest_sizes(kind, batch, steps):
    # With one step every other row is empty; with more, the rows end early.
    mask = np.arange(steps) < np.arange(1, batch + 1)[:, None] % 2 + steps // 2
    options = {"batch": batch, "steps": steps, "reference_mode": MODE, **OPTIONS[kind][1]}
    assert_is_reference(kind, [None, mask], **options)


@pytest.mark.parametrize("kind", GATES)
def test_without_bias(kind):
    assert_is_reference(kind, [None, MASKS["right_padded"]], use_bias=False)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("kind", GATES)
def test_half_precision(kind, dtype):
    masks = [MASKS[name] for name in ("dense", "right_padded", "scattered")]
    values, slopes = beside_reference(kind, masks, dtype=dtype, **OPTIONS[kind][1])
    # The state is below about 4 in size, and half a unit in the last place there is 2**-10 in
    # float16 (11 bits) and 2**-7 in bfloat16 (8 bits). A kernel may round the state at each of
    # the 7 steps; the gates damp what is carried over, so four roundings bound the sum.
    atol = 4 * {"float16": 2.0**-10, "bfloat16": 2.0**-7}[dtype]
    for got, expected in values:
        np.testing.assert_allclose(got, expected, atol=atol)
    # A gradient sums 35 rounded products: the error is relative to the largest of them.
    for got, expected in slopes:
        largest = max(1.0, np.abs(expected).max())
        np.testing.assert_allclose(got, expected, atol=2 * atol * largest)


def threads():
    """Number of threads of the backend."""
    if BACKEND == "tensorflow":
        import tensorflow as tf

        return tf.config.threading.get_intra_op_parallelism_threads()
    if BACKEND == "torch":
        import torch

        return torch.get_num_threads()
    return len(os.sched_getaffinity(0))


@pytest.mark.parametrize("kind", GATES)
def test_a_small_step_restores_the_number_of_threads(kind):
    before = threads()
    arrays = case(kind)
    run(call(kernels, kind, False), arrays)
    assert threads() == before
    arrays[-1] = arrays[-1][..., :-1]
    with pytest.raises(Exception, match=r"size|shape|[Dd]imension"):
        run(call(kernels, kind, False), arrays)
    assert threads() == before


def test_the_kernels_of_the_backend_are_chosen():
    assert kernels.lstm.__module__ == f"keras_qa.layers.kernels.{BACKEND}"


@pytest.mark.parametrize("mode", MODES)
def test_look_up_sums_the_gradients_of_repeated_ids(mode) -> None:
    rng = np.random.default_rng(0)
    ids = np.array([[3, 1, 3, 0], [4, 3, 1, 1], [0, 0, 2, 4]])
    table = rng.normal(size=(6, UNITS)).astype("float32")
    weight = rng.normal(size=(*ids.shape, UNITS)).astype("float32")

    def rows(ids, *rest):
        return [kernels.look_up(rest[-1], ids)]

    def loss(ids, *rest):
        return ops.sum(kernels.look_up(rest[-1], ids) * rest[-2])

    # Compiled programs know the shapes of the last three.
    arrays = [ids, table, weight, table]
    np.testing.assert_array_equal(run(rows, arrays, mode)[0], table[ids])
    expected = np.zeros_like(table)
    np.add.at(expected, ids, weight)
    got = gradients(loss, [ids, ids, weight, table], mode)
    np.testing.assert_allclose(got[-1], expected, atol=1e-6)
    np.testing.assert_allclose(got[0], table[ids], atol=1e-6)
