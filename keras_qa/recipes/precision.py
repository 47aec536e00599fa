"""Which precision trains an encoder faster on this machine, by a measurement."""

from __future__ import annotations

import dataclasses
import os
import time
from collections.abc import Callable

import keras
import numpy as np

from keras_qa import _backend
from keras_qa.models.pretrained import find_checkpoint

# Positions that go through a product at once.
POSITIONS = 1_024
REPEATS = 5
# Part of the time of float32 that bfloat16 has to stay below.
CLEARLY_FASTER = 0.8
# Of BERT's base, where the encoder is KerasHub's.
SIZES = (768, 3_072)


@dataclasses.dataclass(frozen=True)
class Precision:
    """What `choose_precision` has found. As a string it is one line that says so.

    Args:
        dtype: The dtype policy: `"float32"` or `"mixed_bfloat16"`.
        sizes: Width of the encoder's vectors, and between its dense layers.
        float32: Seconds of a product in float32.
        bfloat16: Seconds of the same in bfloat16.
    """

    dtype: str
    sizes: tuple[int, int]
    float32: float
    bfloat16: float

    def __str__(self) -> str:
        narrow, wide = self.sizes
        return (
            f"{POSITIONS:,} positions times {narrow:,} × {wide:,} weights take "
            f"{1e3 * self.float32:.2f} ms in float32 and {1e3 * self.bfloat16:.2f} ms in bfloat16 "
            f"({_backend.configured()}): training in {self.dtype}."
        )


def choose_precision(
    backbone: str | os.PathLike[str], clock: Callable[[], float] = time.perf_counter
) -> Precision:
    """Measures whether bfloat16 is faster than float32, where this runs.

    It is on GPUs and on processors that multiply it; elsewhere it can take twice the time. What is
    measured is the largest product of a block of the encoder, on the backend that is on.

    Args:
        backbone: As `models.span_reader` takes it.
        clock: What tells the time, in seconds.

    Returns:
        A `Precision`: `"mixed_bfloat16"` where it takes less than four fifths of the time.

    Raises:
        ImportError: If a library that reads checkpoints is missing.
        ValueError: If there is no such checkpoint, or it cannot be read.
    """
    sizes = _sizes(os.fspath(backbone))
    random = np.random.default_rng(0)
    rows = random.normal(size=(POSITIONS, sizes[0])).astype("float32")
    weights = random.normal(size=sizes).astype("float32")
    seconds: dict[str, list[float]] = {"float32": [], "bfloat16": []}
    pairs = {
        dtype: [keras.ops.cast(array, dtype) for array in (rows, weights)] for dtype in seconds
    }
    for pair in pairs.values():
        # A backend may compile at the first call.
        _multiply(*pair)
    # By turns, so that what else runs on the machine slows down both.
    for _ in range(REPEATS):
        for dtype, pair in pairs.items():
            begun = clock()
            _multiply(*pair)
            seconds[dtype].append(clock() - begun)
    float32, bfloat16 = min(seconds["float32"]), min(seconds["bfloat16"])
    faster = bfloat16 < CLEARLY_FASTER * float32
    return Precision("mixed_bfloat16" if faster else "float32", sizes, float32, bfloat16)


def _multiply(rows: keras.KerasTensor, weights: keras.KerasTensor) -> None:
    product = keras.ops.matmul(rows, weights)
    # A backend may go on before it has computed anything. One number is cheap to wait for.
    keras.ops.convert_to_numpy(keras.ops.cast(product[0, 0], "float32"))


def _sizes(name: str) -> tuple[int, int]:
    checkpoint = find_checkpoint(name)
    return SIZES if checkpoint is None else checkpoint.sizes
