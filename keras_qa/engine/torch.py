"""How models run on PyTorch: direct predictions, and training in several processes.

Predictions call `Layer.call` instead of `Layer.__call__`, which checks, converts and casts its
arguments in about 0.2 ms for each layer. A prediction of a float32 model needs no conversion, and
its inputs are checked already.
"""

from __future__ import annotations

import contextlib
import functools
import os
import pickle
import warnings
import zlib
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import Any

import keras
import numpy as np
import torch
import torch.distributed as dist
from torch.multiprocessing.spawn import ProcessExitedException, ProcessRaisedException

from keras_qa.engine.graph import Graph, all_layers, is_from_keras, state_variables
from keras_qa.layers.kernels.torch import Layer, call_directly, is_direct, takes


def has_accelerator() -> bool:
    """Whether models run on another device than a CPU."""
    return torch.cuda.is_available() or torch.backends.mps.is_available()


def seed(number: int) -> None:
    """Seeds PyTorch's global generator, which dropout without a seed uses."""
    torch.manual_seed(number)


# Whether `fit` divides batches among the processes of PyTorch's default group.
is_divided: ContextVar[bool] = ContextVar("is_divided", default=False)


def is_first_process() -> bool:
    """Whether this process, of those that train together, prints and writes files."""
    return not is_divided.get() or dist.get_rank() == 0


def wait_for_processes() -> None:
    """Returns when all processes that train together have called it."""
    if is_divided.get():
        _exchange(dist.barrier)


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
        np.random.set_state(_of_first(np.random.get_state()))
        torch.random.set_rng_state(_of_first(torch.random.get_rng_state()))
        with torch.no_grad():
            for variable in state_variables(self.model):
                _exchange(dist.broadcast, variable.value, 0)

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
                self.optimizer.apply(_sum([item.value.grad for item in weights]), weights)
        return results

    def test_step(self, data: Any) -> Any:
        """Evaluates one batch, as `keras.Model.test_step` does."""
        if not self._divides:
            return super().test_step(data)
        return self._evaluate_all_rows(data, training=False)[1]

    def _evaluate_all_rows(self, data: Any, training: bool) -> tuple[Any, Any]:
        """Returns the loss and the metrics of a batch. Gradients reach the own rows only."""
        _check_same(data)
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        rows = len(keras.tree.flatten(x)[0])
        size = -(-rows // dist.get_world_size())
        first = dist.get_rank() * size
        # The first rows of the batch fill the last parts up. `_gather` drops them.
        own = [row % rows for row in range(first, first + size)]
        outputs = self(keras.tree.map_structure(lambda array: array[own], x), training=training)
        y_pred = keras.tree.map_structure(lambda output: _gather(output, rows), outputs)
        loss = self.compute_loss(x, y, y_pred, sample_weight, training=training)
        self.metrics[0].update_state(loss, sample_weight=rows)
        return loss, self.compute_metrics(x, y, y_pred, sample_weight=sample_weight)


def _exchange(function: Callable[..., Any], *arguments: Any) -> None:
    """Calls a function of all processes."""
    try:
        function(*arguments)
    except RuntimeError as error:
        raise ConnectionError(
            "Another process of the training has ended, see its error. Start the training again, "
            f"with `resume` if it has a checkpoint. PyTorch: {str(error).splitlines()[0]:.120}"
        ) from None


def _of_first(value: Any) -> Any:
    """Returns the value of the first process."""
    values = [value]
    _exchange(dist.broadcast_object_list, values)
    return values[0]


@torch.compiler.disable
def _check_same(data: Any) -> None:
    """Raises if other processes have another batch."""
    digest = 0
    for array in keras.tree.flatten(data):
        if array is not None:
            digest = zlib.crc32(keras.ops.convert_to_numpy(array).tobytes(), digest)
    own = torch.tensor([digest], device=keras.ops.zeros(()).device)
    digests = [torch.empty_like(own) for _ in range(dist.get_world_size())]
    _exchange(dist.all_gather, digests, own)
    if len(set(map(int, digests))) > 1:
        raise ValueError(
            "The processes have different batches. Give all of them the same data in the same "
            "order: each trains on its part of every batch."
        )


@torch.compiler.disable
def _gather(own: torch.Tensor, rows: int) -> torch.Tensor:
    """Returns the first rows of all processes, in order."""
    parts = [
        torch.empty_like(own, memory_format=torch.contiguous_format)
        for _ in range(dist.get_world_size())
    ]
    _exchange(dist.all_gather, parts, own.detach().contiguous())
    parts[dist.get_rank()] = own
    gathered = torch.cat(parts)[:rows]
    mask = getattr(own, "_keras_mask", None)
    if mask is not None:
        gathered._keras_mask = _gather(mask, rows)
    return gathered


@torch.compiler.disable
def _sum(gradients: list[torch.Tensor | None]) -> list[torch.Tensor | None]:
    """Sums the gradients of all processes, in one exchange."""
    own = [item for item in gradients if item is not None]
    flat = torch.cat([item.reshape(-1) for item in own])
    _exchange(dist.all_reduce, flat)
    parts = iter(flat.split([item.numel() for item in own]))
    return [None if g is None else next(parts).view_as(g).to(g.dtype) for g in gradients]


def divide_batches() -> contextlib.ExitStack:
    """Divides the batches of `fit` among the processes of the default group.

    All must call it. Closing the stack that it returns ends it.
    """
    if keras.config.backend() != "torch":
        raise ValueError(
            f"Keras uses {keras.config.backend()}, but these are processes of PyTorch. Set "
            "KERAS_BACKEND=torch before the import of Keras."
        )
    # `fit` draws the seed of its order from it.
    np.random.set_state(_of_first(np.random.get_state()))
    stack = contextlib.ExitStack()
    stack.callback(is_divided.reset, is_divided.set(True))
    return stack


@contextlib.contextmanager
def training_on(devices: int, repeat: Callable[[], object]) -> Iterator[None]:
    """Starts a process for each other device, which calls `repeat`, and joins them in the block."""
    if dist.is_initialized():
        raise ValueError(
            "`devices` starts processes, and this is one of several. Leave it out: `distribute` of "
            "`keras_qa.integrations.torch` divides the batches."
        )
    gpus = torch.cuda.device_count()
    most, kind = (gpus, "GPUs") if gpus else (os.cpu_count() or 1, "processors")
    if devices > most:
        raise ValueError(
            f"`devices` must be at most {most}, the number of {kind}. Received: devices={devices}."
        )
    store = dist.TCPStore("127.0.0.1", 0, devices, is_master=True, wait_for_workers=False)
    try:
        others = torch.multiprocessing.spawn(
            _repeat, (devices, store.port, repeat), devices - 1, join=False
        )
    except (AttributeError, TypeError, pickle.PicklingError) as error:
        raise ValueError(
            "`devices` sends the arguments to other processes, but pickle cannot: "
            f"{error!s:.120}. Define functions and classes at the top of a module."
        ) from None
    threads = torch.get_num_threads()
    try:
        # The group would wait for a process that fails before it joins.
        while not store.check([_started(rank) for rank in range(1, devices)]):
            _join(others, 0.1)
        with _group(0, devices, store):
            yield
        while not _join(others, 1):
            pass
    except ConnectionError:
        # Name the process that has ended, and its error.
        _join(others, 10)
        raise
    finally:
        torch.set_num_threads(threads)
        for process in others.processes:
            process.kill()
            process.join()


def _join(others: Any, seconds: float) -> bool:
    """Waits until all other processes end. Raises a `ChildProcessError` if one fails."""
    try:
        return bool(others.join(seconds, grace_period=10))
    except (ProcessExitedException, ProcessRaisedException) as error:
        reason = str(error).strip().splitlines()[-1].removeprefix(f"process {error.error_index} ")
        raise ChildProcessError(
            f"Process {error.error_index + 1} of the training has ended: {reason:.200}"
        ) from None


def _started(rank: int) -> str:
    return f"started/{rank}"


def _repeat(index: int, devices: int, port: int, repeat: Callable[[], object]) -> None:
    """Calls a function in another process of `training_on`."""
    rank = index + 1
    store = dist.TCPStore("127.0.0.1", port, devices, is_master=False)
    store.set(_started(rank), "")
    # The first process warns.
    warnings.simplefilter("ignore")
    # If another process has ended, the first one says so.
    with contextlib.suppress(ConnectionError), _group(rank, devices, store):
        repeat()


@contextlib.contextmanager
def _group(rank: int, devices: int, store: dist.Store) -> Iterator[None]:
    if torch.cuda.is_available():
        torch.cuda.set_device(rank)
    torch.set_num_threads(max(1, torch.get_num_threads() // devices))
    dist.init_process_group(store=store, rank=rank, world_size=devices)
    try:
        with divide_batches():
            yield
    finally:
        dist.destroy_process_group()


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

        They do if all weights and layers have dtype float32, autocast is off, no module has a hook,
        and the model does not override the prediction of `keras.Model`.
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
