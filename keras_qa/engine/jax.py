"""How models run on JAX: weights are kept after exceptions, predictions keep their weights."""

from __future__ import annotations

import contextlib
from typing import Any

import jax
import keras
import numpy as np

from keras_qa.engine.programs import Program


def has_accelerator() -> bool:
    """Whether models run on another device than a CPU."""
    return jax.default_backend() != "cpu"


class keep_weights:
    """Keeps the weights of a model usable after an exception in the block.

    Keras donates the weights to its compiled step, which overwrites them in place. Keras stores the
    new ones in the model only at the end of an epoch. After an exception this context manager
    restores the state after the last finished step, if Keras still has it. Otherwise it restores a
    copy from the start of the epoch or of the block.

    The callbacks for `fit` update the copy. See `execution.keep_weights`.
    """

    def __init__(self, model: keras.Model, trains: bool = True) -> None:
        self.model = model
        self.optimizer = getattr(model, "optimizer", None) if trains else None

    def __enter__(self) -> list[keras.callbacks.Callback]:
        self._copy()
        return [
            keras.callbacks.LambdaCallback(
                on_train_begin=lambda logs: self._copy(),
                on_epoch_end=lambda epoch, logs: self._copy(),
            )
        ]

    def __exit__(self, kind: type[BaseException] | None, *_: Any) -> None:
        if kind is None:
            return
        # This raises if a later step has consumed the state that Keras has.
        with contextlib.suppress(RuntimeError):
            self.model.jax_state_sync()
        if any(_is_lost(variable) for variable, _ in self.copies):
            # All of them, so that weights and optimizer belong to the same step.
            for variable, copy in self.copies:
                variable.assign(copy)

    def _copy(self) -> None:
        variables = [
            *self.model.variables,
            *self.model.metrics_variables,
            *(self.optimizer.variables if self.optimizer is not None else ()),
        ]
        values = [variable.value for variable in variables]
        self.copies = list(zip(variables, _copied(values), strict=True))


@jax.jit
def _copied(arrays: list[jax.Array]) -> list[jax.Array]:
    # One program for all: the call of a copy takes longer than copying a small array.
    return [jax.numpy.copy(array) for array in arrays]


def _is_lost(variable: Any) -> bool:
    try:
        value = variable.value
    except TypeError:
        # Keras emptied the variable, and an empty variable without an initializer raises.
        return True
    return isinstance(value, jax.Array) and value.is_deleted()


class BatchPredictor:
    """Predicts a batch by the model's `predict_step`.

    Keras' `predict_on_batch` donates the weights to its compiled step, so a second thread would
    find them deleted. This step does not donate them. After a change of the layers, make another
    predictor.
    """

    def __init__(self, model: keras.Model) -> None:
        self.model = model
        self._variables = model.trainable_variables, model.non_trainable_variables
        self._step = Program(model, self._make)

    def __call__(self, arrays: list[np.ndarray]) -> list[np.ndarray]:
        """Computes the outputs of a batch."""
        state = tuple([variable.value for variable in kind] for kind in self._variables)
        shapes = tuple(array.shape for array in arrays)
        return list(map(np.array, self._step(shapes, state, arrays)))

    def _make(self) -> Any:
        model = self.model

        def step(state: Any, arrays: list[Any]) -> list[Any]:
            x = keras.tree.pack_sequence_as(model.input, arrays)
            return keras.tree.flatten(model.predict_step(state, (x,))[0])

        return jax.jit(step) if model.jit_compile and not model.run_eagerly else step
