"""What only PyTorch needs."""

from __future__ import annotations

import contextlib
from typing import Any

import keras
import torch


def keep_weights(model: keras.Model) -> contextlib.AbstractContextManager[list[Any]]:
    """Does nothing: PyTorch's parameters outlive any exception."""
    return contextlib.nullcontext([])


def as_dataset(batches: Any) -> Any:
    """Returns the batches as they are: PyTorch takes each with a shape of its own."""
    return batches


def compiled(model: keras.Model) -> Any:
    """Gives a function that predicts one batch, without Keras' loop over batches.

    Args:
        model: The model. Its weights may change afterwards.

    Returns:
        A function from arrays in the structure of the model's inputs to arrays.
    """

    def run(inputs: Any) -> Any:
        with torch.no_grad():
            tensors = keras.tree.map_structure(torch.from_numpy, inputs)
            outputs = model(tensors, training=False)
            return keras.tree.map_structure(keras.ops.convert_to_numpy, outputs)

    return run
