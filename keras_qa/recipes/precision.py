"""Measures which precision trains an encoder faster on this machine."""

from __future__ import annotations

import dataclasses
import os
import time
from collections.abc import Callable

import keras
import numpy as np

from keras_qa import _backend
from keras_qa.models.pretrained import find_checkpoint

# Rows of the measured matrix product.
POSITIONS = 1_024
REPEATS = 5
# bfloat16 must take less than this share of the time of float32.
MAX_TIME_RATIO = 0.8
# The sizes of BERT base, for encoders of KerasHub.
SIZES = (768, 3_072)


@dataclasses.dataclass(frozen=True)
class Precision:
    """The result of `choose_precision`. Its string is a one-line summary.

    Args:
        dtype: The dtype policy: `"float32"` or `"mixed_bfloat16"`.
        sizes: The encoder's hidden and intermediate dimensions.
        float32: Seconds of the matrix product in float32.
        bfloat16: Seconds of the matrix product in bfloat16.
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
    """Measures whether bfloat16 is faster than float32 on this machine.

    bfloat16 is faster on GPUs and on processors with bfloat16 instructions. On others it can take
    twice the time. This function measures the largest matrix product in a block of the encoder, on
    the current backend.

    Args:
        backbone: As in `models.span_reader`.
        clock: Returns the time in seconds.

    Returns:
        A `Precision` with `"mixed_bfloat16"` if that takes less than 80 % of the time of float32.

    Raises:
        ImportError: If a library that reads checkpoints is missing.
        ValueError: If the checkpoint does not exist or cannot be read.
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
        # The first call may compile.
        _multiply(*pair)
    # Alternate the dtypes, so that other work on the machine slows down both.
    for _ in range(REPEATS):
        for dtype, pair in pairs.items():
            start = clock()
            _multiply(*pair)
            seconds[dtype].append(clock() - start)
    float32, bfloat16 = min(seconds["float32"]), min(seconds["bfloat16"])
    faster = bfloat16 < MAX_TIME_RATIO * float32
    return Precision("mixed_bfloat16" if faster else "float32", sizes, float32, bfloat16)


def _multiply(rows: keras.KerasTensor, weights: keras.KerasTensor) -> None:
    product = keras.ops.matmul(rows, weights)
    # Backends compute asynchronously: wait for the result by reading one number.
    keras.ops.convert_to_numpy(keras.ops.cast(product[0, 0], "float32"))


def _sizes(name: str) -> tuple[int, int]:
    checkpoint = find_checkpoint(name)
    return SIZES if checkpoint is None else checkpoint.sizes
