"""How models train and predict on PyTorch: data, weights, layers called by their `call`."""

from __future__ import annotations

import contextlib
import contextvars
import inspect
import operator
import pathlib
import types
from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np
import torch

from keras_qa.execution.filling import ANY, Shapes
from keras_qa.execution.graph import Call, Graph
from keras_qa.execution.signature import Signature

# PyTorch shares the cores out by itself.
BATCHES_AT_ONCE = 1

# Names the folder of programs that `keep_programs` keeps: here it keeps none.
PROGRAMS = ""

# Whether a program is made for each shape, and for those of an encoder, too.
COMPILES = False
COMPILES_PRODUCTS = False

_dtype = operator.attrgetter("dtype")


def keep_programs(folder: pathlib.Path) -> None:
    """Nothing: PyTorch compiles none."""


# First weights that others replace: see TensorFlow's.
zeros = keras.ops.zeros


def assign(variable: keras.Variable, array: np.ndarray) -> None:
    """Gives a weight the values of an array.

    Keras would copy the array before it copies its values.

    Args:
        variable: The weight.
        array: Its values.
    """
    is_plain = array.dtype == np.float32 and array.flags.c_contiguous and array.flags.writeable
    variable.assign(torch.from_numpy(array) if is_plain else array)


def has_accelerator() -> bool:
    """Whether models run on something else than a CPU."""
    return torch.cuda.is_available() or torch.backends.mps.is_available()


def seed(seed: int) -> None:
    """Seeds what the backend draws from outside of Keras' seed generators.

    Here that is dropout, where a layer was given no seed.

    Args:
        seed: The seed.
    """
    torch.manual_seed(seed)


def keep_weights(
    model: keras.Model, trains: bool = True
) -> contextlib.AbstractContextManager[list[Any]]:
    """Does nothing: PyTorch's parameters outlive any exception."""
    return contextlib.nullcontext([])


def as_dataset(batches: Any, in_memory: bool = False) -> Any:
    """Returns the batches as they are: PyTorch takes each with a shape of its own."""
    return batches


def prepare_training(
    model: keras.Model,
    inputs: list[np.ndarray],
    size: int,
    epochs: int,
    initial_epoch: int = 0,
    own_widths: bool = False,
) -> Shapes:
    """Takes batches of any shape: see TensorFlow's."""
    return ANY


def prepare_testing(model: keras.Model, inputs: list[np.ndarray], size: int) -> bool:
    """Leaves the last batch as it is: nothing is compiled."""
    return False


def part_widths(model: keras.Model) -> None:
    """Nothing: batches never share a width."""


def hide_filled_rows(model: keras.Model, x: Any, outputs: Any) -> Any:
    """Nothing: batches that come in are not filled up. See JAX'."""
    return outputs


def train_step(model: keras.Model, step: Callable[..., Any], *arguments: Any) -> Any:
    """Takes Keras' own step: see TensorFlow's."""
    return step(*arguments)


test_step = train_step


# What to call in place of layers, by their `id`, in this prediction: it gives what Keras' way does.
_direct: contextvars.ContextVar[Mapping[int, Callable[..., Any]]]
_direct = contextvars.ContextVar("direct", default=types.MappingProxyType({}))


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
    return _direct.get().get(id(layer), layer)(*arguments, **options)


def _call_of(layer: Any) -> Callable[..., Any]:
    """What calls a layer directly, as long as its attributes stay the same objects."""
    if isinstance(layer, keras.layers.Dense) and not layer.lora_enabled:
        return _dense(layer)
    if type(layer) is keras.layers.LayerNormalization and not layer.rms_scaling:
        return _layer_normalization(layer)
    # A graph holds operations and lists of layers, too.
    found: Callable[..., Any] = getattr(layer, "call", layer)
    return found


def _dense(layer: keras.layers.Dense) -> Callable[..., Any]:
    """A dense layer, product and bias in one."""
    kernel, bias, activation = _value(layer.kernel), _value(layer.bias), layer.activation

    def call(inputs: torch.Tensor) -> torch.Tensor:
        weights = _beside(inputs, kernel)
        found = torch.nn.functional.linear(inputs, weights.t(), _beside(inputs, bias))
        return found if activation is None else activation(found)

    return call


def _layer_normalization(layer: keras.layers.LayerNormalization) -> Callable[..., Any]:
    """A layer normalisation over the features, by the function that Keras calls."""
    gamma, beta, epsilon = _value(layer.gamma), _value(layer.beta), layer.epsilon

    def call(inputs: torch.Tensor) -> torch.Tensor:
        if layer.axis not in ([-1], [inputs.ndim - 1]):
            return layer.call(inputs)
        scale, shift = _beside(inputs, gamma), _beside(inputs, beta)
        return torch.nn.functional.layer_norm(inputs, inputs.shape[-1:], scale, shift, epsilon)

    return call


def _value(variable: Any) -> Any:
    """The tensor of a weight, or `None`: the same one as long as there is the weight."""
    return None if variable is None else variable.value


def _beside(inputs: torch.Tensor, value: Any) -> Any:
    """The tensor of a weight, or `None`, on the device of the inputs."""
    if value is None or value.device == inputs.device:
        return value
    return keras.ops.convert_to_tensor(value)


class BatchPredictor:
    """Predicts a batch by the `call` of each layer, in the order of the model's graph.

    Nothing is compiled or kept: weights, rates and activations are those of the moment.

    Args:
        model: A functional model.
        signature: Its signature, which says that all of it is known.
    """

    def __init__(self, model: keras.Model, signature: Signature) -> None:
        self.model = model
        # A layer keeps these dicts: with others, the signature would not hold.
        of_layers = [hooks for item in signature.layers for hooks in _hooks(item)]
        self.hooks = [*_HOOKS_OF_ALL, *of_layers]
        one_dtype = all(map(_is_float32, signature.layers))
        self.direct = {
            id(layer): _call_of(layer)
            for layer in signature.layers
            if one_dtype and _is_direct(layer)
        }
        # What `torch.nn.Module.to` changes is in these, whatever it gives them.
        self.floats = [v.value for v in model.variables if keras.backend.is_float_dtype(v.dtype)]
        self.steps, self.outputs = _graph(model)

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
            first = keras.ops.convert_to_tensor(inputs[0])
            return self._call([first, *(_to_tensor(array, first.device) for array in inputs[1:])])

    def finish(self, outputs: Any) -> list[np.ndarray]:
        """Gives arrays in the order of the model's outputs."""
        return list(map(_to_numpy, outputs))

    def _call(self, tensors: list[Any]) -> list[torch.Tensor]:
        if (
            not self.direct
            or any(self.hooks)
            or any(_hooks(self.model))
            or self._is_cast()
            or torch.is_autocast_enabled(tensors[0].device.type)
        ):
            inputs = keras.tree.pack_sequence_as(self.model.input, tensors)
            return keras.tree.flatten(self.model(inputs, training=False))
        token = _direct.set(self.direct)
        try:
            with torch.inference_mode():
                values = dict(enumerate(tensors))
                for step in self.steps:
                    step(values, id(step.operation) in self.direct)
                return [values[place] for place in self.outputs]
        finally:
            _direct.reset(token)

    def _is_cast(self) -> bool:
        """Whether `torch.nn.Module.to` has given weights another dtype, which Keras casts."""
        return not {torch.float32}.issuperset(map(_dtype, self.floats))


def _to_tensor(array: np.ndarray, device: torch.device) -> torch.Tensor:
    """An array as a tensor on Keras' device. Keras' way takes ten times as long."""
    if array.dtype in (np.int32, np.float32):
        return torch.from_numpy(array).to(device)
    return keras.ops.convert_to_tensor(array)


def _to_numpy(tensor: torch.Tensor) -> np.ndarray:
    """A tensor as an array. Keras' way takes ten times as long."""
    if tensor.is_cpu and tensor.dtype == torch.float32 and not tensor.requires_grad:
        return tensor.numpy()
    return keras.ops.convert_to_numpy(tensor)


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


_HOOKS = ("forward_hooks", "forward_pre_hooks", "backward_hooks", "backward_pre_hooks")

# What `torch.nn.modules.module.register_module_forward_hook` and its like write to.
_HOOKS_OF_ALL = [getattr(torch.nn.modules.module, f"_global_{name}") for name in _HOOKS]


def _hooks(layer: Any) -> list[Mapping[int, Any]]:
    """What PyTorch would call before and after a layer."""
    if not isinstance(layer, torch.nn.Module):
        return []
    return [getattr(layer, f"_{name}") for name in _HOOKS]


class _Place(int):
    """Which of the tensors of a graph stands at a place of a call."""


class _Step:
    """One call of a layer in a graph."""

    def __init__(self, call: Call, places: Mapping[int, _Place]) -> None:
        def place(value: Any) -> Any:
            return places[id(value)] if isinstance(value, keras.KerasTensor) else value

        self.operation = call.operation
        self.arguments = keras.tree.map_structure(place, call.arguments)
        self.options = keras.tree.map_structure(place, call.options)
        self.outputs = [places[id(tensor)] for tensor in call.outputs]
        takes = inspect.signature(self.operation.call).parameters
        self.takes_training = "training" in takes
        self.takes_mask = "mask" in takes and self.options.get("mask") is None
        # Only of these it is known which mask Keras gives them.
        others = [value for name, value in self.options.items() if name != "mask"]
        self.is_simple = (
            isinstance(self.operation, keras.layers.Layer)
            and len(self.arguments) == 1
            and not any(isinstance(value, _Place) for value in keras.tree.flatten(others))
        )

    def __call__(self, values: dict[int, Any], is_direct: bool) -> None:
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
        values.update(zip(self.outputs, _flat(outputs), strict=True))


def _flat(outputs: Any) -> list[Any]:
    """`keras.tree.flatten`, which takes longer than the smallest layers do."""
    if isinstance(outputs, torch.Tensor):
        return [outputs]
    if isinstance(outputs, (list, tuple)):
        return [tensor for output in outputs for tensor in _flat(output)]
    return keras.tree.flatten(outputs)


def _mask(given: Any) -> Any:
    if isinstance(given, torch.Tensor):
        return getattr(given, "_keras_mask", None)
    if isinstance(given, list):
        return [_mask(item) for item in given]
    return keras.tree.map_structure(_mask, given)


def _set_masks(outputs: Any, masks: Any) -> None:
    if masks is None:
        return
    flat = _flat(outputs)
    if all(_mask(output) is not None for output in flat):
        return
    for output, mask in zip(flat, keras.tree.flatten(masks), strict=False):
        if mask is not None and _mask(output) is None:
            output._keras_mask = mask


def _graph(model: keras.Model) -> tuple[list[_Step], list[_Place]]:
    """The calls of a functional model's layers in their order, and which tensors are its outputs.

    The first tensors are the inputs.
    """
    graph = Graph(model)
    tensors = [*graph.inputs, *(tensor for call in graph.calls for tensor in call.outputs)]
    places = {id(tensor): _Place(place) for place, tensor in enumerate(tensors)}
    steps = [_Step(call, places) for call in graph.calls]
    return steps, [places[id(tensor)] for tensor in graph.outputs]


def _filled(value: Any, values: Mapping[int, Any]) -> Any:
    if isinstance(value, _Place):
        return values[value]
    if isinstance(value, Mapping):
        return {name: _filled(item, values) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)([_filled(item, values) for item in value])
    return value
