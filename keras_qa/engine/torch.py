"""How models run on PyTorch: direct predictions, and training in several processes.

Predictions call `Layer.call` instead of `Layer.__call__`, which checks, converts and casts its
arguments in about 0.2 ms for each layer. A prediction of a float32 model needs no conversion, and
its inputs are checked already.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np
import torch
import torch.distributed as dist

from keras_qa.engine.graph import Graph, all_layers, is_from_keras, state_variables
from keras_qa.engine.torch_processes import (
    check_same,
    exchange,
    gather,
    is_divided,
    of_first,
    sum_gradients,
)
from keras_qa.engine.torch_processes import training_on as training_on
from keras_qa.layers.kernels.torch import Layer, call_directly, is_direct, takes


def has_accelerator() -> bool:
    """Whether models run on another device than a CPU."""
    return torch.cuda.is_available() or torch.backends.mps.is_available()


def seed(number: int) -> None:
    """Seeds PyTorch's global generator, which dropout without a seed uses."""
    torch.manual_seed(number)


def is_first_process() -> bool:
    """Whether this process, of those that train together, prints and writes files."""
    return not is_divided.get() or dist.get_rank() == 0


def wait_for_processes() -> None:
    """Returns when all processes that train together have called it."""
    if is_divided.get():
        exchange(dist.barrier)


@contextlib.contextmanager
def keep_weights(model: Any, trains: bool = True) -> Iterator[list[keras.callbacks.Callback]]:
    """Gives the callback that lets `fit` divide batches, if there are several processes."""
    if not trains or not is_divided.get():
        yield []
        return
    try:
        yield [_DivideBatches()]
    finally:
        model._divides = False


class _DivideBatches(keras.callbacks.Callback):
    """Starts each epoch with the weights and the random states of the first process."""

    def on_train_begin(self, logs: dict[str, float] | None = None) -> None:
        self.model._divides = True

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        # The order of the rows depends on both.
        np.random.set_state(of_first(np.random.get_state()))
        torch.random.set_rng_state(of_first(torch.random.get_rng_state()))
        with torch.no_grad():
            for variable in state_variables(self.model):
                exchange(dist.broadcast, variable.value, 0)

    def on_train_batch_begin(self, step: int, logs: dict[str, float] | None = None) -> None:
        rank = dist.get_rank()
        if step or not rank:
            return
        # The rows of each process need dropout of their own.
        torch.manual_seed(int(torch.randint(2**31, ())) + rank)
        for variable in self.model.variables:
            if variable.name == "seed_generator_state":
                variable.value[0] += rank * 1_000_003


class Model(keras.Model):
    """A model whose `fit` divides the rows of each batch among processes.

    Each process computes the outputs of its rows and gets those of the other rows. The loss and the
    metrics are computed from all rows in each process. Then the gradients are summed.
    """

    _divides = False

    def train_step(self, data: Any) -> Any:
        """Trains on one batch, as `keras.Model.train_step` does."""
        if not self._divides:
            return super().train_step(data)
        self.zero_grad()
        loss, results = self._evaluate_all_rows(data, training=True)
        # Each process adds the losses of the layers, such as those of regularizers.
        loss = loss - sum(self.losses) * (1 - 1 / dist.get_world_size())
        weights = self.trainable_weights[:]
        if weights:
            self.optimizer.scale_loss(loss).backward()
            with torch.no_grad():
                self.optimizer.apply(sum_gradients([item.value.grad for item in weights]), weights)
        return results

    def test_step(self, data: Any) -> Any:
        """Evaluates one batch, as `keras.Model.test_step` does."""
        if not self._divides:
            return super().test_step(data)
        return self._evaluate_all_rows(data, training=False)[1]

    def _evaluate_all_rows(self, data: Any, training: bool) -> tuple[Any, Any]:
        """Returns the loss and the metrics of a batch. Gradients reach the own rows only."""
        check_same(data)
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        rows = len(keras.tree.flatten(x)[0])
        size = -(-rows // dist.get_world_size())
        first = dist.get_rank() * size
        # The first rows of the batch fill the last parts up. `gather` drops them.
        own = [row % rows for row in range(first, first + size)]
        outputs = self(keras.tree.map_structure(lambda array: array[own], x), training=training)
        y_pred = keras.tree.map_structure(lambda output: gather(output, rows), outputs)
        loss = self.compute_loss(x, y, y_pred, sample_weight, training=training)
        self.metrics[0].update_state(loss, sample_weight=rows)
        return loss, self.compute_metrics(x, y, y_pred, sample_weight=sample_weight)


class BatchPredictor:
    """Predicts a batch by the model's `predict_step`."""

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


_HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
# Hooks for all modules, see `torch.nn.modules.module.register_module_forward_hook`.
_GLOBAL_HOOKS = [getattr(torch.nn.modules.module, f"_global{name}") for name in _HOOKS]


class DirectModel:
    """A functional model whose layers are called directly, in the order of its graph.

    Make another instance after a change of its layers.
    """

    def __init__(self, model: keras.Model) -> None:
        self.model = model
        self._layers = list(all_layers(model))
        graph = Graph(model)
        self._inputs = list(map(id, graph.inputs))
        self._outputs = list(map(id, graph.outputs))
        self._steps = [
            (
                _caller(call.operation),
                call.arguments,
                {**call.options, **_training(call.operation)},
                list(map(id, call.outputs)),
            )
            for call in graph.calls
        ]

    def is_as_keras(self) -> bool:
        """Whether direct calls give the same outputs as Keras' `predict` now.

        All weights and layers have dtype float32, autocast is off, no module has a hook, and the
        model does not override the prediction of `keras.Model`.
        """
        model: Any = self.model
        return not (
            model.run_eagerly
            or model.jit_compile
            or any(_GLOBAL_HOOKS)
            or torch.is_autocast_enabled("cpu")
            or torch.is_autocast_enabled("cuda")
            or any(map(_has_hooks, (model, *self._layers)))
            or not all(map(_is_float32, self._layers))
            or not all(map(_is_not_cast, model.variables))
            or not all(is_from_keras(getattr(type(model), name)) for name in _METHODS)
        )

    def __call__(self, tensors: list[torch.Tensor]) -> list[torch.Tensor]:
        """Computes the outputs of the model, in order."""
        token = is_direct.set(True)
        try:
            with torch.no_grad():
                values = dict(zip(self._inputs, tensors, strict=True))
                for call, arguments, options, outputs in self._steps:
                    tensors = _flat(call(*_filled(arguments, values), **_filled(options, values)))
                    values.update(zip(outputs, tensors, strict=True))
                return [values[output] for output in self._outputs]
        finally:
            is_direct.reset(token)


_METHODS = ("__call__", "call", "predict_step", "make_predict_function")


def _caller(operation: Any) -> Callable[..., Any]:
    """The function that calls an operation of the graph; direct for built-in layers, too."""
    is_built_in = (
        type(operation).__module__.startswith("keras.")
        and isinstance(operation, keras.layers.Layer)
        and not isinstance(operation, (keras.Model, Layer))
    )
    return functools.partial(call_directly, operation, operation) if is_built_in else operation


def _training(operation: Any) -> dict[str, bool]:
    kind: Any = type(operation)
    return {"training": False} if takes(kind, "training") else {}


def _filled(value: Any, values: dict[int, Any]) -> Any:
    """Arguments of a call in the graph, with symbolic tensors replaced by computed ones."""
    if isinstance(value, keras.KerasTensor):
        return values[id(value)]
    if isinstance(value, dict):
        return {name: _filled(item, values) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)([_filled(item, values) for item in value])
    return value


def _flat(outputs: Any) -> list[Any]:
    """A faster `keras.tree.flatten`, which takes as long as a small layer."""
    if isinstance(outputs, torch.Tensor):
        return [outputs]
    if isinstance(outputs, (list, tuple)):
        return [tensor for output in outputs for tensor in _flat(output)]
    return keras.tree.flatten(outputs)


def _has_hooks(module: Any) -> bool:
    return any(vars(module).get(name) for name in _HOOKS)


def _is_float32(layer: Any) -> bool:
    # The policy of a quantized layer has another name.
    return not isinstance(layer, keras.layers.Layer) or layer.dtype_policy.name == "float32"


def _is_not_cast(variable: keras.Variable) -> bool:
    """Whether the dtype is float32 or integer: `torch.nn.Module.to` may have changed it."""
    value = variable.value
    return value.dtype is torch.float32 or not value.is_floating_point()
