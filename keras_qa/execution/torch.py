"""How models run on PyTorch: fast conversion of arrays, direct calls of layers."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras
import numpy as np
import torch

from keras_qa.execution.direct import DirectModel
from keras_qa.execution.direct import Layer as Layer

zeros = keras.ops.zeros


def assign(variable: keras.Variable, array: np.ndarray) -> None:
    """Sets a weight to the values of an array. Keras would copy the array twice."""
    is_plain = array.dtype == np.float32 and array.flags.c_contiguous and array.flags.writeable
    variable.assign(torch.from_numpy(array) if is_plain else array)


def has_accelerator() -> bool:
    """Whether models run on another device than a CPU."""
    return torch.cuda.is_available() or torch.backends.mps.is_available()


def seed(seed: int) -> None:
    """Seeds PyTorch's global generator, which dropout without a seed uses."""
    torch.manual_seed(seed)


def keep_weights(
    model: keras.Model, trains: bool = True
) -> contextlib.AbstractContextManager[list[Any]]:
    """Does nothing: exceptions do not affect PyTorch's parameters."""
    return contextlib.nullcontext([])


def as_dataset(batches: Any, in_memory: bool = False) -> Any:
    """Returns the batches unchanged."""
    return batches


def jit_compile(model: keras.Model, losses_and_metrics: Sequence[Any]) -> bool | None:
    """Leaves the choice to Keras."""
    return None


def map_steps(model: keras.Model, function: Callable[[int], Any], steps: range) -> Iterator[Any]:
    """Calls a function for each step, one after the other: PyTorch uses all cores by itself."""
    return map(function, steps)


class BatchPredictor:
    """Predicts a batch by the model's `predict_step`.

    Args:
        model: A functional model.
    """

    def __init__(self, model: keras.Model) -> None:
        self.model = model
        self._direct = DirectModel(model)

    def __call__(self, arrays: list[np.ndarray]) -> list[np.ndarray]:
        """Computes the outputs of a batch."""
        first = _to_tensor(arrays[0], keras.ops.zeros(()).device)
        tensors = [first, *(_to_tensor(array, first.device) for array in arrays[1:])]
        if self._direct.is_as_keras():
            return [keras.ops.convert_to_numpy(tensor) for tensor in self._direct(tensors)]
        x = keras.tree.pack_sequence_as(self.model.input, tensors)
        return keras.tree.flatten(keras.Model.predict_on_batch(self.model, x))


def _to_tensor(array: Any, device: torch.device) -> Any:
    """Converts an array to a tensor. Keras' conversion takes ten times as long."""
    if not isinstance(array, np.ndarray) or array.dtype not in (np.int32, np.float32):
        return keras.ops.convert_to_tensor(array)
    # PyTorch warns about read-only arrays.
    return torch.from_numpy(array if array.flags.writeable else array.copy()).to(device)
