"""How models train and predict on JAX: data, weights, compiled programs."""

from __future__ import annotations

import contextlib
import functools
import math
import operator
import sys
from collections.abc import Callable
from typing import Any

import jax
import keras
import numpy as np

from keras_qa.kernels import folding

# A loop over time keeps one core busy, whatever the others do. Each holds a batch in memory.
PROGRAMS_AT_ONCE = 2


def as_dataset(batches: Any, in_memory: bool = False) -> Any:
    """Returns the batches as they are: JAX compiles once for each shape."""
    return batches


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
    """

    def __init__(self, model: keras.Model) -> None:
        self.model = model

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
        optimizer = getattr(self.model, "optimizer", None)
        variables = [
            *self.model.variables,
            *self.model.metrics_variables,
            *(optimizer.variables if optimizer is not None else ()),
        ]
        self.copies = [(variable, jax.numpy.copy(variable.value)) for variable in variables]


def _is_lost(variable: Any) -> bool:
    try:
        value = variable.value
    except TypeError:
        # Keras sets a variable aside by emptying it, and an empty one calls its initializer: none.
        return True
    return isinstance(value, jax.Array) and value.is_deleted()


# Bytes of what is computed ahead for the next question: more is computed for many at once only.
MOST_KEPT = 16 * 2**20


class compiled:
    """Predicts batches without Keras' loop over them, by a program for each of their shapes.

    Args:
        model: The model. Its weights may change afterwards.
    """

    def __init__(self, model: keras.Model) -> None:
        self.model = model
        self.programs: tuple[Any, Any] = (self._fold, self._call)
        if model.jit_compile:
            self.programs = (jax.jit(self._fold, static_argnums=0), jax.jit(self._call))
        names = folding.folding_layers(model, sys.maxsize)
        shapes = jax.eval_shape(functools.partial(self._fold, names), self._weights())
        size = sum(math.prod(a.shape) * a.dtype.itemsize for a in jax.tree.leaves(shapes))
        self.kept_names = names if size <= MOST_KEPT else ()
        self.kept: tuple[list[jax.Array], Any] = ([], {})

    def fold(self, words: int) -> Any:
        """Computes what depends on the weights alone, for batches of so many words together."""
        names = folding.folding_layers(self.model, words)
        if names == self.kept_names:
            return self._keep(self._weights())
        return self.programs[0](names, self._weights()) if names else {}

    def __call__(self, inputs: list[np.ndarray], folded: Any = None) -> Any:
        """Predicts a batch.

        Args:
            inputs: Arrays in the order of the model's inputs.
            folded: What `fold` gave, if the weights have not changed since.

        Returns:
            Arrays in the structure of the model's outputs.
        """
        weights = self._weights()
        if folded is None:
            folded = self._keep(weights)
        outputs = self.programs[1](weights, folded, inputs)
        return keras.tree.map_structure(np.asarray, outputs)

    def _keep(self, weights: list[jax.Array]) -> Any:
        """What `fold` gives, from the last call where the weights have not changed since."""
        if not self.kept_names:
            return {}
        known, folded = self.kept
        # No array of JAX ever changes: other weights are other arrays.
        if len(known) != len(weights) or any(map(operator.is_not, known, weights)):
            folded = self.programs[0](self.kept_names, weights)
            self.kept = weights, folded
        return folded

    def _weights(self) -> list[jax.Array]:
        return [variable.value for variable in self.model.variables]

    def _scope(self, weights: list[jax.Array]) -> keras.StatelessScope:
        return keras.StatelessScope(list(zip(self.model.variables, weights, strict=True)))

    def _fold(self, names: tuple[str, ...], weights: list[jax.Array]) -> Any:
        with self._scope(weights):
            return folding.fold(self.model, names)

    def _call(self, weights: list[jax.Array], folded: Any, inputs: Any) -> Any:
        inputs = keras.tree.pack_sequence_as(self.model.input, inputs)
        with self._scope(weights), folding.giving(folded):
            return self.model(inputs, training=False)


def prepare_training(model: keras.Model, steps: int) -> None:
    """Does nothing: only TensorFlow decides before a training."""


def train_step(model: keras.Model, step: Callable[..., Any], *arguments: Any) -> Any:
    """Takes Keras' own step: see TensorFlow's."""
    return step(*arguments)
