"""Each backend's kernels against the reference: values and gradients, for every kind of mask."""

import itertools
import os

import keras
import numpy as np
import pytest
from backend_calls import gradients, run, to_numpy
from keras import ops
from kernel_cases import GATES, MASKS, MODES, OPTIONS, UNITS, case, weighted

from keras_qa.layers import kernels
from keras_qa.layers.kernels import reference as reference_kernels

BACKEND = keras.config.backend()


def call(module, kind, mask, use_bias=True, **options):
    """`fn(*arrays)` for the kernel `kind` of `module`, without its None results."""

    def fn(*tensors):
        arguments = list(tensors) if use_bias else [*tensors, None]
        m = None if mask is None else ops.convert_to_tensor(mask)
        return [r for r in getattr(module, kind)(arguments[0], m, *arguments[1:], **options)
                if r is not None]  # fmt: skip

    return fn


# Settings, mask, and whether the kernel keeps what its gradient needs. The effect of a mask depends
# on the direction and on `return_sequences`. In inference, each setting and each mask occurs once.
QUICK = [
    *((options, mask, True) for options in (1, 3) for mask in MASKS),
    *((options, mask, True) for options in (0, 2) for mask in ("right_padded", "scattered")),
    (0, "right_padded", False),
    (1, "dense", False),
    (1, "all_masked", False),
    (2, "left_padded", False),
    (3, "scattered", False),
]
CASES = itertools.product(range(4), MASKS, (True, False))


def assert_is_reference(kind, mask, arrays, mode="eager", training=True, **options):
    """Compares the values and gradients of a kernel with those of the reference."""
    fused = call(kernels, kind, mask, training=training, **options)
    reference = call(reference_kernels, kind, mask, **options)
    for got, expected in zip(run(fused, arrays, mode), run(reference, arrays), strict=True):
        np.testing.assert_allclose(got, expected, atol=1e-5)
    slopes = gradients(weighted(reference), arrays)
    for got, expected in zip(gradients(weighted(fused), arrays, mode), slopes, strict=True):
        np.testing.assert_allclose(got, expected, atol=1e-4)


@pytest.mark.parametrize(
    ("options", "mask", "training"),
    [pytest.param(*c, marks=() if c in QUICK else pytest.mark.full) for c in CASES],
)
@pytest.mark.parametrize("kind", GATES)
def test_values_and_gradients_equal_the_reference(kind, options, mask, training):
    options = OPTIONS[kind][options]
    assert_is_reference(kind, MASKS[mask], case(kind), training=training, **options)


@pytest.mark.parametrize("mode", MODES[1:] or MODES)
@pytest.mark.parametrize("mask", ["dense", "right_padded", "scattered"])
@pytest.mark.parametrize("kind", GATES)
def test_every_mode_equals_the_reference(kind, mask, mode):
    assert_is_reference(kind, MASKS[mask], case(kind), mode, **OPTIONS[kind][3])


@pytest.mark.parametrize(("batch", "steps"), [(1, 7), (5, 1), (1, 1)])
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("kind", GATES)
def test_smallest_sizes(kind, masked, batch, steps):
    # With one step every other row is empty; with more, the rows end early.
    mask = np.arange(steps) < np.arange(1, batch + 1)[:, None] % 2 + steps // 2
    arrays = case(kind, batch=batch, steps=steps)
    assert_is_reference(kind, mask if masked else None, arrays, **OPTIONS[kind][1])


@pytest.mark.parametrize("mask", ["dense", "right_padded"])
@pytest.mark.parametrize("kind", GATES)
def test_without_bias(kind, mask):
    assert_is_reference(kind, MASKS[mask], case(kind, use_bias=False), use_bias=False)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("mask", ["dense", "right_padded", "scattered"])
@pytest.mark.parametrize("kind", GATES)
def test_half_precision(kind, mask, dtype):
    mask, options = MASKS[mask], OPTIONS[kind][1]
    # Both get the same rounded numbers. The reference computes in float32.
    rounded = [to_numpy(ops.cast(ops.cast(a, dtype), "float32")) for a in case(kind)]
    reference = call(reference_kernels, kind, mask, **options)

    def fused(*tensors):
        results = call(kernels, kind, mask, **options)(*(ops.cast(t, dtype) for t in tensors))
        for result in results:
            assert keras.backend.standardize_dtype(result.dtype) == dtype
        return [ops.cast(r, "float32") for r in results]

    # The state is below about 4 in size, and half a unit in the last place there is 2**-10 in
    # float16 (11 bits) and 2**-7 in bfloat16 (8 bits). A kernel may round the state at each of
    # the 7 steps; the gates damp what is carried over, so four roundings bound the sum.
    atol = 4 * {"float16": 2.0**-10, "bfloat16": 2.0**-7}[dtype]
    for got, expected in zip(run(fused, rounded), run(reference, rounded), strict=True):
        np.testing.assert_allclose(got, expected, atol=atol)
    # A gradient sums 35 rounded products: the error is relative to the largest of them.
    got = gradients(weighted(fused), rounded)
    for g, e in zip(got, gradients(weighted(reference), rounded), strict=True):
        np.testing.assert_allclose(g, e, atol=2 * atol * max(1.0, np.abs(e).max()))


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
    run(call(kernels, kind, None), arrays)
    assert threads() == before
    arrays[-1] = arrays[-1][..., :-1]
    with pytest.raises(Exception, match=r"size|shape|[Dd]imension"):
        run(call(kernels, kind, None), arrays)
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
