"""How models run on JAX: weights are kept after exceptions, predictions keep their weights."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Iterator
from typing import Any

import jax
import keras
import numpy as np
from jax.experimental import multihost_utils

from keras_qa.engine.graph import state_variables
from keras_qa.engine.programs import Program


def has_accelerator() -> bool:
    """Whether models run on another device than a CPU."""
    return jax.default_backend() != "cpu"


def is_first_process() -> bool:
    """Whether this process writes files: one of those of `jax.distributed`."""
    return jax.process_index() == 0


def wait_for_processes() -> None:
    """Returns when all processes of `jax.distributed` have called it."""
    multihost_utils.sync_global_devices("keras_qa")


@contextlib.contextmanager
def undistributed() -> Iterator[None]:
    """Removes the distribution in the block: all processes would have to make its variables."""
    current = keras.distribution.distribution()
    keras.distribution.set_distribution(None)
    try:
        yield
    finally:
        keras.distribution.set_distribution(current)


def training_on(devices: int, repeat: object) -> contextlib.AbstractContextManager[None]:
    """Sets a `DataParallel` distribution in the block."""
    available = keras.distribution.list_devices()
    if devices > len(available):
        raise ValueError(
            f"`devices` is {devices}, but JAX has {len(available)}: {available[0]}. For virtual "
            f"ones on a CPU set XLA_FLAGS=--xla_force_host_platform_device_count={devices} before "
            "the start."
        )
    scope: contextlib.AbstractContextManager[None] = keras.distribution.DataParallel(
        devices=available[:devices]
    ).scope()
    return scope


def distribution() -> Any:
    """Returns the user's `keras.distribution`, also in the block of `on_devices`, or `None`."""
    current = keras.distribution.distribution()
    return getattr(current, "divided", current)


@contextlib.contextmanager
def on_devices(model: Any) -> Iterator[None]:
    """Moves a model to the devices of the distribution, and gives every device whole batches.

    `Model` divides them. Keras would divide the rows of all batches by the layout of the first, and
    fail at a batch with another number of rows.
    """
    current: Any = distribution()
    if current is not model.distribution:
        # Compiled functions have the devices of the distribution of their trace.
        model.train_function = model.test_function = model.predict_function = None
        model.distribution = current
    if current is None:
        yield
        return
    mesh = current.device_mesh
    for variable in [*state_variables(model), *model.metrics_variables]:
        layout = current.get_variable_layout(variable)
        if layout.device_mesh.backend_mesh != mesh.backend_mesh:
            raise ValueError(
                "The model was built under a `keras.distribution` with other devices. Build or "
                "load it under the current one."
            )
        variable.assign(keras.distribution.distribute_tensor(variable.value, layout))
    whole: Any = copy.copy(current)
    whole.divided = current
    whole.get_data_layout = lambda shape: _whole(shape, current)
    # All processes make the same batches.
    whole.auto_shard_dataset = False
    with whole.scope():
        yield


def _whole(shape: Any, current: Any) -> keras.distribution.TensorLayout:
    """The layout of a tensor that every device has."""
    return keras.distribution.TensorLayout([None] * len(shape), current.device_mesh)


class Model(keras.Model):
    """A model that divides the rows of a batch among the devices of a `keras.distribution`.

    Losses, metrics and gradients are those of the whole batch, which the compiler computes.
    """

    # The distribution of the last call.
    distribution: Any = None

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        """Computes the outputs. If rows do not divide, every device computes all of them."""
        current = distribution()
        if current is not None:
            inputs = keras.tree.map_structure(lambda part: _split(part, current), inputs)
        return super().call(inputs, training=training, mask=mask)


def _split(tensor: Any, current: Any) -> Any:
    rows = tensor.shape[0]
    # The number is unknown while Keras infers shapes.
    if not isinstance(rows, int) or rows % current.num_model_replicas:
        return tensor
    return keras.distribution.distribute_tensor(tensor, current.get_data_layout(tensor.shape))


class keep_weights:
    """Keeps the weights of a model usable after an exception in the block, see `execution`.

    Keras donates the weights to its compiled step, which overwrites them in place, and stores the
    new ones in the model only at the end of an epoch. After an exception, the state is that after
    the last finished step, if Keras still has it, or else a copy from the start of the epoch or of
    the block.
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
        current = distribution()
        return list(map(np.array, self._step((current, shapes), current, state, arrays)))

    def _make(self) -> Any:
        model = self.model

        def step(current: Any, state: Any, arrays: list[Any]) -> list[Any]:
            x = keras.tree.pack_sequence_as(model.input, arrays)
            outputs = keras.tree.flatten(model.predict_step(state, (x,))[0])
            if current is None:
                return outputs
            # A process can read all rows only if one of its devices has them.
            return [
                keras.distribution.distribute_tensor(output, _whole(output.shape, current))
                for output in outputs
            ]

        if model.run_eagerly or not model.jit_compile:
            return step
        # The trace contains the devices of the distribution.
        return jax.jit(step, static_argnums=0)
