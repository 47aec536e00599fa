"""How models run on JAX: weights that an exception must not lose, a step that predicts."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
import keras
import numpy as np

from keras_qa.execution.programs import Program
from keras_qa.execution.threads import map_in_threads

__all__ = [
    "BatchPredictor",
    "Layer",
    "as_dataset",
    "assign",
    "has_accelerator",
    "jit_compile",
    "keep_weights",
    "map_steps",
    "seed",
    "zeros",
]


class Layer(keras.layers.Layer):
    """The base class of our layers, which adds nothing here: see PyTorch's."""


def as_dataset(batches: Any, in_memory: bool = False) -> Any:
    """Returns the batches as they are: JAX compiles once for each shape."""
    return batches


def zeros(shape: Sequence[int], dtype: Any = None) -> jax.Array:
    """First weights that others replace: see TensorFlow's. JAX would compile a program for each."""
    return jax.device_put(np.zeros(shape, keras.backend.standardize_dtype(dtype)))


def assign(variable: keras.Variable, array: np.ndarray) -> None:
    """Gives a weight the values of an array: see PyTorch's."""
    variable.assign(array)


def has_accelerator() -> bool:
    """Whether models run on something else than a CPU."""
    return jax.default_backend() != "cpu"


def seed(seed: int) -> None:
    """Seeds what the backend draws from outside of Keras' seed generators: nothing here."""


class keep_weights:
    """Gives `model` its weights back when an exception leaves the block.

    Keras hands the weights to a compiled step that overwrites them in place,
    and takes the new ones back only when an epoch ends. What an exception
    leaves is therefore the state after the last finished step, where Keras
    still knows it. Otherwise it is the state at the start of the epoch, or of
    the block: copies are kept for that.

    Entering gives the callbacks that `fit` needs to take a copy every epoch, and after those of
    the user have set weights before the first one.

    Args:
        model: The model that trains or predicts inside the block.
        trains: Whether it trains. Otherwise its optimizer's state is left alone.
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
        # The state Keras knows may be older than a step that consumed it. The copies then serve.
        with contextlib.suppress(RuntimeError):
            self.model.jax_state_sync()
        if any(_is_lost(variable) for variable, _ in self.copies):
            # All of them, so that weights and optimizer are of the same moment.
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
    # One program for all of them: to ask for a copy takes longer than a small one does.
    return [jax.numpy.copy(array) for array in arrays]


def _is_lost(variable: Any) -> bool:
    try:
        value = variable.value
    except TypeError:
        # Keras sets a variable aside by emptying it, and an empty one calls its initializer: none.
        return True
    return isinstance(value, jax.Array) and value.is_deleted()


def jit_compile(model: keras.Model, losses_and_metrics: Sequence[Any]) -> bool | None:
    """Leaves the choice to Keras, which compiles."""
    return None


def map_steps(model: keras.Model, function: Callable[[int], Any], steps: range) -> Iterator[Any]:
    """Calls a function for each step of a prediction, in threads: see `threads`."""

    def surroundings() -> list[Any]:
        # A setting by a context manager of JAX, a distribution and a `keras.StatelessScope` hold in
        # the thread that entered them.
        settings = [getattr(jax.config, name, None) for name in jax.config.values]
        values = [variable.value for variable in model.variables]
        return [*settings, keras.distribution.distribution(), *values]

    return map_in_threads(model, function, steps, surroundings)


class BatchPredictor:
    """Predicts a batch by the model's `predict_step`.

    Keras' `predict_on_batch` donates the weights to its compiled step, which overwrites them in
    place: a second thread would find them deleted. This step keeps them.

    Args:
        model: A functional model. After a change of its layers, make another predictor.
    """

    def __init__(self, model: keras.Model) -> None:
        self.model = model
        self._variables = model.trainable_variables, model.non_trainable_variables
        self._step = Program(model, self._make)

    def __call__(self, arrays: list[np.ndarray]) -> list[np.ndarray]:
        """Computes the outputs.

        Args:
            arrays: Arrays in the order of the model's inputs.

        Returns:
            Arrays in the order of its outputs.
        """
        state = tuple([variable.value for variable in kind] for kind in self._variables)
        shapes = tuple(array.shape for array in arrays)
        return list(map(np.array, self._step(shapes, state, arrays)))

    def _make(self) -> Any:
        model = self.model

        def step(state: Any, arrays: list[Any]) -> list[Any]:
            x = keras.tree.pack_sequence_as(model.input, arrays)
            return keras.tree.flatten(model.predict_step(state, (x,))[0])

        return jax.jit(step) if model.jit_compile and not model.run_eagerly else step
