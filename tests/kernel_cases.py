"""Shapes, masks, settings and arrays for the tests of kernels."""

import numpy as np
from backend_calls import BACKEND
from keras import ops

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
