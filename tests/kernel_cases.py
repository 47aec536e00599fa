"""Shapes, masks, settings and arrays for the tests of kernels, and a comparison of kernels."""

import keras
import numpy as np
from backend_calls import BACKEND, gradient, gradients, prepared, run, to_numpy
from keras import ops

from keras_qa.layers import kernels
from keras_qa.layers.kernels import reference

# Ways to run a kernel: eager, traced with unknown sizes, compiled by XLA.
MODES = {"tensorflow": ["eager", "graph", "xla"], "torch": ["eager"], "jax": ["eager", "xla"]}[
    BACKEND
]
BATCH, STEPS, FEATURES, UNITS = 5, 7, 3, 4
GATES = {"lstm": 4, "gru": 3}
LENGTHS = np.array([7, 3, 1, 0, 5])
MASKS = {
    "dense": None,
    "right_padded": np.arange(STEPS) < LENGTHS[:, None],
    "left_padded": np.arange(STEPS) >= STEPS - LENGTHS[:, None],
    "scattered": np.random.default_rng(1).random((BATCH, STEPS)) < 0.5,
    "all_masked": np.zeros((BATCH, STEPS), "bool"),
}


def case(kind, *, batch=BATCH, steps=STEPS, use_bias=True, dtype="float32", seed=0):
    """The arrays of a call, in the order of the kernel's arguments without the mask."""
    rng = np.random.default_rng(seed)
    width = GATES[kind] * UNITS
    shapes = [(batch, steps, FEATURES), (batch, UNITS)]
    shapes += [(batch, UNITS)] if kind == "lstm" else []
    shapes += [(FEATURES, width), (UNITS, width)]
    shapes += [((width,) if kind == "lstm" else (2, width))] if use_bias else []
    return [rng.normal(size=s).astype(dtype) for s in shapes]


def weighted(fn, seed=9):
    """A scalar loss that depends on every entry of every result of `fn`."""

    def loss(*tensors):
        total = 0.0
        for i, result in enumerate(fn(*tensors)):
            shape = [d or 1 for d in result.shape]
            weight = ops.cos(ops.arange(1, UNITS + 1, dtype="float32") * (seed + i))
            if len(shape) == 3:
                steps = ops.arange(ops.shape(result)[1], dtype="float32")
                weight = weight * ops.expand_dims(ops.cos(steps), 1)
            total = total + ops.sum(ops.multiply(ops.cast(result, "float32"), weight))
        return total

    return loss


OPTIONS = {
    "lstm": [
        {},
        {"return_sequences": True, "return_state": True},
        {"go_backwards": True},
        {"go_backwards": True, "return_sequences": True, "return_state": True},
    ],
    "gru": [
        {},
        {"return_sequences": True},
        {"go_backwards": True},
        {"go_backwards": True, "return_sequences": True},
    ],
}


def call(module, kind, masked=True, *, use_bias=True, dtype="float32", **options):
    """`fn(*arrays)` for the kernel `kind` of `module`, without its None results."""

    def fn(*tensors):
        mask, *tensors = tensors if masked else (None, *tensors)
        tensors = [ops.cast(tensor, dtype) for tensor in tensors] + [None] * (not use_bias)
        results = getattr(module, kind)(tensors[0], mask, *tensors[1:], **options)
        results = [result for result in results if result is not None]
        for result in results:
            assert keras.backend.standardize_dtype(result.dtype) == dtype
        return [ops.cast(result, "float32") for result in results]

    return fn


def beside_reference(
    kind,
    masks,
    mode="eager",
    *,
    reference_mode="eager",
    batch=BATCH,
    steps=STEPS,
    dtype="float32",
    inference=(),
    **options,
):
    """The results of a kernel for all masks, and its gradients, in pairs with the reference's.

    With the masks `inference` the kernel need not keep what its gradient needs. The reference is
    called once, with the rows of all masks, because it has many operations.
    """
    use_bias = options.get("use_bias", True)
    trains = [True] * len(masks) + [False] * len(inference)
    masks = [*masks, *inference]
    states = [case(kind, batch=batch, steps=steps, seed=seed)[:-3] for seed in range(len(masks))]
    weights = case(kind, batch=batch, steps=steps, use_bias=use_bias)[-2 - use_bias :]
    # Both get the same rounded numbers. The reference computes in float32.
    states, weights = keras.tree.map_structure(
        lambda a: to_numpy(ops.cast(ops.cast(a, dtype), "float32")), (states, weights)
    )
    valid = [np.ones((batch, steps), "bool") if mask is None else mask for mask in masks]
    rows = [np.concatenate(parts) for parts in (valid, *zip(*states, strict=True))]
    loop = call(reference, kind, **options)
    arrays = [*rows, *weights]
    expected = run(loop, arrays, reference_mode)
    expected_slopes = gradients(weighted(loop), arrays, reference_mode)

    programs, results = {}, ([], [])
    for mask, training, state in zip(masks, trains, states, strict=True):
        key = mask is not None, training
        arrays = [*([] if mask is None else [mask]), *state, *weights]
        if key not in programs:
            fn = call(kernels, kind, key[0], dtype=dtype, training=training, **options)
            slopes = prepared(gradient(weighted(fn), arrays), arrays, mode)
            programs[key] = prepared(fn, arrays, mode), slopes
        for result, program in zip(results, programs[key], strict=True):
            result.append(program(arrays))
    values = [np.concatenate(parts) for parts in zip(*results[0], strict=True)]
    # The gradient of a weight is a sum over all rows.
    slopes = [
        np.concatenate(parts) if n < len(states[0]) else np.sum(parts, axis=0)
        for n, parts in enumerate(zip(*results[1], strict=True))
    ]
    return zip(values, expected, strict=True), zip(slopes, expected_slopes, strict=True)
