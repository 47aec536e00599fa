"""What only JAX needs."""

from __future__ import annotations

import contextlib
from typing import Any

import jax
import jax.numpy as jnp
import keras
import numpy as np


def as_dataset(batches: Any) -> Any:
    """Returns the batches as they are: JAX compiles once for each shape."""
    return batches


class keep_weights:
    """Gives `model` its weights back when an exception leaves the block.

    Keras hands the weights to a compiled step that overwrites them in place,
    and takes the new ones back only when an epoch ends. What an exception
    leaves is therefore the state after the last finished step, where Keras
    still knows it. Otherwise it is the state at the start of the epoch, or of
    the block: copies are kept for that.

    Entering gives the callbacks that `fit` needs to take a copy every epoch.

    Args:
        model: The model that trains or predicts inside the block.
    """

    def __init__(self, model: keras.Model) -> None:
        self.model = model

    def __enter__(self) -> list[keras.callbacks.Callback]:
        self._copy()
        return [keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: self._copy())]

    def __exit__(self, kind: type[BaseException] | None, *_: Any) -> None:
        if kind is None:
            return
        # The state Keras knows may be older than a step that consumed it. The copies then serve.
        with contextlib.suppress(RuntimeError):
            self.model.jax_state_sync()
        if any(_is_lost(variable) for variable, _ in self.copies):
            # All of them, so that weights and optimizer are of the same moment.
            for variable, copy in self.copies:
                variable.assign(copy)

    def _copy(self) -> None:
        optimizer = getattr(self.model, "optimizer", None)
        variables = [
            *self.model.variables,
            *self.model.metrics_variables,
            *(optimizer.variables if optimizer is not None else ()),
        ]
        self.copies = [(variable, jnp.copy(variable.value)) for variable in variables]


def _is_lost(variable: Any) -> bool:
    try:
        value = variable.value
    except TypeError:
        # Keras sets a variable aside by emptying it, and an empty one calls its initializer: none.
        return True
    return isinstance(value, jax.Array) and value.is_deleted()


def compiled(model: keras.Model) -> Any:
    """Gives a function that predicts one batch, without Keras' loop over batches.

    Args:
        model: The model. Its weights may change afterwards.

    Returns:
        A function from arrays in the structure of the model's inputs to arrays.
    """

    def call(trainable: Any, fixed: Any, inputs: Any) -> Any:
        return model.stateless_call(trainable, fixed, inputs, training=False)[0]

    program = jax.jit(call) if model.jit_compile else call

    def run(inputs: Any) -> Any:
        weights = [
            [variable.value for variable in variables]
            for variables in (model.trainable_variables, model.non_trainable_variables)
        ]
        return keras.tree.map_structure(np.asarray, program(weights[0], weights[1], inputs))

    return run
