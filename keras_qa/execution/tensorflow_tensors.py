"""Tensors for TensorFlow in memory that NumPy asked for."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

# What TensorFlow asks for at most, in bytes (`EIGEN_MAX_ALIGN_BYTES`).
ALIGNMENT = 64


def to_tensor(array: np.ndarray) -> tf.Tensor:
    """A tensor of a copy of an array."""
    # `tf.constant` is an operation of its own, a tenth of the time of one question. DLPack has no
    # word for every dtype, and hands the memory over as it lies.
    if array.dtype != np.int32:
        return tf.constant(array)
    copy = _aligned(np.empty, array.shape, array.dtype)
    copy[...] = array
    return _handed_over(copy)


def zeros(shape: Sequence[int], dtype: Any = None) -> Any:
    """First weights that others replace: zeros that take no memory until they are read.

    TensorFlow keeps the memory of tensors that it made itself for other tensors, and Linux does not
    get it back.
    """
    if keras.backend.standardize_dtype(dtype) != "float32":
        return keras.ops.zeros(shape, dtype)
    return _handed_over(_aligned(np.zeros, tuple(shape), np.dtype("float32")))


def _aligned(make: Any, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """An array where TensorFlow's operations read: they abort the process elsewhere."""
    size = math.prod(shape) * dtype.itemsize
    memory = make(size + ALIGNMENT, "uint8")
    return np.ndarray(shape, dtype, memory, -memory.ctypes.data % ALIGNMENT)


def _handed_over(array: np.ndarray) -> tf.Tensor:
    return tf.experimental.dlpack.from_dlpack(array.__dlpack__())
