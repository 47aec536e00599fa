"""How models run on PyTorch: predictions call `Layer.call` instead of `Layer.__call__`.

`keras.layers.Layer.__call__` checks, converts and casts its arguments, which takes about 0.2 ms for
each layer. A prediction of a float32 model needs no conversion, and its inputs are checked already.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import torch

from keras_qa.engine.graph import Graph, all_layers, is_from_keras
from keras_qa.layers.kernels.torch import Layer, call_directly, is_direct, takes


def has_accelerator() -> bool:
    """Whether models run on another device than a CPU."""
    return torch.cuda.is_available() or torch.backends.mps.is_available()


def seed(number: int) -> None:
    """Seeds PyTorch's global generator, which dropout without a seed uses."""
    torch.manual_seed(number)


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
