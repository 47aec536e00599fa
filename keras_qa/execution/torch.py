"""How models train and predict on PyTorch: data, weights, layers called by their `call`."""

from __future__ import annotations

import contextlib
import contextvars
import inspect
from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np
import torch

from keras_qa.execution.signature import Signature

# PyTorch shares the cores out by itself.
BATCHES_AT_ONCE = 1


def seed(seed: int) -> None:
    """Seeds what the backend draws from outside of Keras' seed generators.

    Here that is dropout, where a layer was given no seed.

    Args:
        seed: The seed.
    """
    torch.manual_seed(seed)


def keep_weights(model: keras.Model) -> contextlib.AbstractContextManager[list[Any]]:
    """Does nothing: PyTorch's parameters outlive any exception."""
    return contextlib.nullcontext([])


def as_dataset(batches: Any, in_memory: bool = False) -> Any:
    """Returns the batches as they are: PyTorch takes each with a shape of its own."""
    return batches


def prepare_training(model: keras.Model, steps: int) -> None:
    """Does nothing: only TensorFlow decides before a training."""


def train_step(model: keras.Model, step: Callable[..., Any], *arguments: Any) -> Any:
    """Takes Keras' own step: see TensorFlow's."""
    return step(*arguments)


# The layers, by `id`, whose `call` alone is what Keras' way to it comes to, in this prediction.
_direct: contextvars.ContextVar[frozenset[int]]
_direct = contextvars.ContextVar("direct", default=frozenset())


def call(layer: keras.layers.Layer, *arguments: Any, **options: Any) -> Any:
    """Calls a layer that another holds; in a prediction, where it may be, by its `call` alone.

    Keras' way to that checks and converts what a layer of ours gives right, and takes longer than
    the arithmetic of few rows. Masks have to be handed over, and are not kept on what comes out.

    Args:
        layer: The layer.
        *arguments: What it is called with.
        **options: What it is called with, by name.

    Returns:
        What it gives.
    """
    if id(layer) in _direct.get():
        return layer.call(*arguments, **options)
    return layer(*arguments, **options)


class BatchPredictor:
    """Predicts a batch by the `call` of each layer, in the order of the model's graph.

    Nothing is compiled or kept: weights, rates and activations are those of the moment.

    Args:
        model: A functional model.
        signature: Its signature, which says that all of it is known.
    """

    def __init__(self, model: keras.Model, signature: Signature) -> None:
        self.model = model
        self.layers = [item for item in signature.layers if isinstance(item, torch.nn.Module)]
        one_dtype = all(map(_is_float32, signature.layers))
        self.direct = frozenset(
            id(layer) for layer in signature.layers if one_dtype and _is_direct(layer)
        )
        self.floats = [v for v in model.variables if keras.backend.is_float_dtype(v.dtype)]
        try:
            self.steps, self.outputs = _graph(model)
        except NotImplementedError:
            self.direct = frozenset()

    def at_once(self) -> contextlib.AbstractContextManager[Callable[..., Any]]:
        """Gives `start`."""
        return contextlib.nullcontext(self.start)

    def precompute(self, words: int) -> Any:
        """Nothing: PyTorch's loops project their steps themselves."""

    def start(self, inputs: list[np.ndarray], tables: Any = None) -> Any:
        """Predicts a batch.

        Args:
            inputs: Arrays in the order of the model's inputs.
            tables: What `precompute` gave.

        Returns:
            What `finish` is to be given.
        """
        # PyTorch warns of arrays that are not to be written to.
        inputs = [array if array.flags.writeable else array.copy() for array in inputs]
        with torch.no_grad():
            tensors = [keras.ops.convert_to_tensor(array) for array in inputs]
            return self._call(tensors)

    def finish(self, outputs: Any) -> Any:
        """Gives arrays in the structure of the model's outputs."""
        if isinstance(outputs, torch.Tensor):
            return keras.ops.convert_to_numpy(outputs)
        return keras.tree.map_structure(keras.ops.convert_to_numpy, outputs)

    def _call(self, tensors: list[Any]) -> Any:
        if not self.direct or any(map(_is_hooked, (self.model, *self.layers))) or self._is_cast():
            return self.model(
                keras.tree.pack_sequence_as(self.model.input, tensors), training=False
            )
        token = _direct.set(self.direct)
        try:
            values = {
                _Tensor(tensor.name): value
                for tensor, value in zip(self.model.inputs, tensors, strict=True)
            }
            for step in self.steps:
                step(values, id(step.operation) in self.direct)
            return _filled(self.outputs, values)
        finally:
            _direct.reset(token)

    def _is_cast(self) -> bool:
        """Whether `torch.nn.Module.to` has given weights another dtype, which Keras casts."""
        return any(variable.value.dtype != torch.float32 for variable in self.floats)


def _is_direct(layer: Any) -> bool:
    """Whether Keras' way to a layer's `call` changes nothing of what is given and comes out."""
    if not isinstance(layer, keras.layers.Layer):
        return True
    return (
        not isinstance(layer, keras.Model)
        and layer.built
        and getattr(layer, "quantization_mode", None) is None
    )


def _is_float32(layer: Any) -> bool:
    """Whether Keras has nothing to cast for a layer."""
    if not isinstance(layer, keras.layers.Layer):
        return True
    return layer.compute_dtype == layer.variable_dtype == "float32"


def _is_hooked(layer: torch.nn.Module) -> bool:
    return bool(
        layer._forward_hooks
        or layer._forward_pre_hooks
        or layer._backward_hooks
        or layer._backward_pre_hooks
    )


class _Tensor(tuple[str, int, int]):
    """A tensor of a graph: the layer that gives it, in which of its calls, in which place."""

    def __new__(cls, layer: str, call: int = 0, place: int = 0) -> _Tensor:
        return super().__new__(cls, (layer, call, place))


class _Step:
    """One call of a layer in a graph."""

    def __init__(self, operation: keras.Operation, number: int, node: Mapping[str, Any]) -> None:
        self.operation = operation
        self.number = number
        self.output = _Tensor(operation.name, number)
        self.arguments = _revived(node["args"])
        self.options = _revived(node["kwargs"])
        self.needed = [*_tensors(self.arguments), *_tensors(self.options)]
        takes = inspect.signature(operation.call).parameters
        self.takes_training = "training" in takes
        self.takes_mask = "mask" in takes and self.options.get("mask") is None
        # Only of these it is known which mask Keras gives them.
        self.is_simple = (
            isinstance(operation, keras.layers.Layer)
            and len(self.arguments) == 1
            and not _tensors({**self.options, "mask": None})
        )

    def __call__(self, values: dict[_Tensor, Any], is_direct: bool) -> None:
        arguments = _filled(self.arguments, values)
        options = _filled(self.options, values)
        if self.takes_training:
            options.setdefault("training", False)
        operation = self.operation
        if not is_direct or not self.is_simple:
            outputs = operation(*arguments, **options)
        else:
            first = arguments[0]
            mask = options.get("mask")
            if mask is None:
                mask = _mask(first)
                if self.takes_mask:
                    options["mask"] = mask
            outputs = operation.call(*arguments, **options)
            if operation.supports_masking:
                _set_masks(outputs, operation.compute_mask(first, mask))
        if isinstance(outputs, torch.Tensor):
            values[self.output] = outputs
            return
        for place, output in enumerate(keras.tree.flatten(outputs)):
            values[_Tensor(operation.name, self.number, place)] = output


def _mask(given: Any) -> Any:
    if isinstance(given, torch.Tensor):
        return getattr(given, "_keras_mask", None)
    return keras.tree.map_structure(_mask, given)


def _set_masks(outputs: Any, masks: Any) -> None:
    if masks is None:
        return
    flat = keras.tree.flatten(outputs)
    if all(_mask(output) is not None for output in flat):
        return
    for output, mask in zip(flat, keras.tree.flatten(masks), strict=False):
        if mask is not None and _mask(output) is None:
            output._keras_mask = mask


def _graph(model: keras.Model) -> tuple[list[_Step], Any]:
    """The calls of a functional model's layers in their order, and the structure of its outputs."""
    config = model.get_config()
    operations = {operation.name: operation for operation in model.operations}
    waiting = [
        _Step(operations[layer["name"]], number, node)
        for layer in config["layers"]
        for number, node in enumerate(layer["inbound_nodes"])
    ]
    known = {tensor.name for tensor in model.inputs}
    steps: list[_Step] = []
    while waiting:
        ready = [step for step in waiting if all(_is_given(t, known, steps) for t in step.needed)]
        if not ready:
            raise NotImplementedError("the graph has calls that nothing leads to")
        steps += ready
        waiting = [step for step in waiting if step not in ready]
    return steps, _output_tensors(config["output_layers"])


def _is_given(tensor: _Tensor, inputs: set[str], steps: list[_Step]) -> bool:
    return tensor[0] in inputs or any(
        (step.operation.name, step.number) == tensor[:2] for step in steps
    )


def _output_tensors(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _output_tensors(item) for name, item in value.items()}
    if len(value) == 3 and isinstance(value[0], str):
        return _Tensor(*value)
    found = [_output_tensors(item) for item in value]
    return found[0] if len(found) == 1 else found


def _revived(value: Any) -> Any:
    """A part of a graph's config, with a `_Tensor` for each tensor."""
    if isinstance(value, Mapping):
        if value.get("class_name") == "__keras_tensor__":
            return _Tensor(*value["config"]["keras_history"])
        if value.get("class_name") == "__tuple__":
            return tuple(_revived(item) for item in value["items"])
        if value.get("class_name") in ("function", "__lambda__"):
            raise NotImplementedError("a function stands in the graph")
        if "class_name" in value:
            return keras.saving.deserialize_keras_object(value)
        return {name: _revived(item) for name, item in value.items()}
    return type(value)(map(_revived, value)) if isinstance(value, (list, tuple)) else value


def _tensors(value: Any) -> list[_Tensor]:
    if isinstance(value, _Tensor):
        return [value]
    parts = value.values() if isinstance(value, Mapping) else value
    if not isinstance(value, (Mapping, list, tuple)):
        return []
    return [tensor for part in parts for tensor in _tensors(part)]


def _filled(value: Any, values: Mapping[_Tensor, Any]) -> Any:
    if isinstance(value, _Tensor):
        return values[value]
    if isinstance(value, Mapping):
        return {name: _filled(item, values) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)([_filled(item, values) for item in value])
    return value
