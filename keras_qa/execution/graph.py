"""What a functional model says of its inputs and layers: shapes, vocabularies, padding.

A layer declares what it is by attributes or properties, and needs none of them to be right:

- `ignores_padding`: each row is computed by itself, and columns of zeros at its end change nothing.
  Rows of like length then come in one batch, trimmed to their length.
- `ends_early`: a compiled loop over time ends with the longest row of the batch, so that one
  compiled width serves shorter batches, too.
- `has_large_products`: most time goes into matrix products, which the backend spreads over cores.
- `vocabulary_size`, or `vocabulary_sizes` with one for each input: ids must be below.
- `max_length`: the longest sequence that the layer takes.
"""

from __future__ import annotations

import dataclasses
import functools
import types
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np


@dataclasses.dataclass(frozen=True)
class ModelInput:
    """What a model expects of one of its inputs.

    Attributes:
        name: Its name.
        shape: Its shape, `None` for sizes that are open.
        dtype: Keras' name of its dtype.
        vocabulary_size: How many ids the smallest table knows that they are looked up in.
        max_length: The longest sequence that an encoder knows positions for.
        readers: The layers that read it.
        reached: The calls that its padding reaches, if no call before them ignores it.
    """

    name: str
    shape: tuple[int | None, ...]
    dtype: str
    vocabulary_size: int | None
    max_length: int | None
    readers: list[Any] = dataclasses.field(repr=False)
    reached: list[Any] = dataclasses.field(repr=False)

    @functools.cached_property
    def holds_ids(self) -> bool:
        return np.issubdtype(np.dtype(self.dtype), np.integer)

    @property
    def ignores_padding(self) -> bool:
        """Whether columns of zeros at its end may be cut off: all that they reach says so."""
        return bool(self.reached) and all(map(_ignores_padding, self.reached))

    @property
    def ends_early(self) -> bool:
        """Whether such columns are not read if they are not cut off."""
        return all(getattr(reader, "ends_early", False) for reader in self.readers)


# The graph of a functional model never changes, and reading it takes longer than a small batch.
_KNOWN: weakref.WeakKeyDictionary[keras.Model, tuple[ModelInput, ...]] = weakref.WeakKeyDictionary()


def model_inputs(model: keras.Model) -> tuple[ModelInput, ...]:
    """Reads off a functional model what it expects of each input.

    The vocabulary of an input is the smallest table that its ids are looked up
    in, wherever in the model that is: an embedding or an encoder of this
    package, shared or not, in the model itself or in a model inside it.

    Args:
        model: A functional `keras.Model`.

    Returns:
        A tuple of `ModelInput`, in the order of the inputs.
    """
    if model not in _KNOWN:
        graph = _graph(model)
        _KNOWN[model] = tuple(
            ModelInput(
                tensor.name,
                tuple(tensor.shape),
                str(tensor.dtype),
                min((size for size in map(_vocabulary_size, readers) if size), default=None),
                min((size for size in map(_max_length, readers) if size), default=None),
                readers,
                _reached(model, graph, place),
            )
            for place, (tensor, readers) in enumerate(
                zip(model.inputs, _readers(model, graph), strict=True)
            )
        )
    return _KNOWN[model]


def ignores_padding(model: keras.Model) -> bool:
    """Whether columns of zeros at the end of any input change nothing."""
    return all(item.ignores_padding for item in model_inputs(model))


def ends_early(model: keras.Model) -> bool:
    """Whether compiled loops are to end with the longest row of a batch, so that one width serves
    batches of every length."""
    return (
        bool(model.jit_compile)
        and any(getattr(layer, "ends_early", False) for layer in model.layers)
        and ignores_padding(model)
    )


def has_large_products(model: keras.Model) -> bool:
    """Whether a model's time goes into few large products, as an encoder's does."""
    return any(getattr(layer, "has_large_products", False) for layer in model.layers)


def rows_are_independent(model: keras.Model) -> bool:
    """Whether each row of a batch is computed by itself, so that other rows change nothing.

    That is known of layers that ignore padding and of most built-in layers of Keras, as long as
    they are given no function of the user's. It is not known of functions such as `keras.ops.mean`
    and of layers from elsewhere.
    """
    operations = model.operations if model.inputs else model.layers
    return all(map(_is_row_wise, operations)) and all(map(is_from_keras, functions_of(model)))


def _is_row_wise(operation: Any) -> bool:
    if isinstance(operation, keras.Model):
        return rows_are_independent(operation)
    if getattr(operation, "ignores_padding", False):
        return True
    kind = type(operation)
    is_own = getattr(keras.layers, kind.__name__, None) is kind or _makes_mask(operation)
    axes = vars(operation).get("axis", -1)
    axes = axes if isinstance(axes, (list, tuple)) else [axes]
    return is_own and kind is not keras.layers.Lambda and not {0, None}.intersection(axes)


def functions_of(model: keras.Model) -> Iterator[Any]:
    """The functions that the layers of Keras and of this package hold, such as activations."""
    kinds = (types.FunctionType, types.MethodType, functools.partial)
    for layer in filter(is_from_keras, all_layers(model)):
        yield from (value for value in vars(layer).values() if isinstance(value, kinds))


def is_from_keras(value: Any) -> bool:
    """Whether a function, a class, an object or a name comes from Keras or this package."""
    if value is None or isinstance(value, str):
        return True
    kinds = (type, types.FunctionType, types.MethodType)
    module = (value if isinstance(value, kinds) else type(value)).__module__
    return module.startswith(("keras.", "keras_qa."))


def _makes_mask(operation: Any) -> bool:
    return type(operation).__name__ in ("NotEqual", "Any")


def draws_random_numbers(model: keras.Model) -> bool:
    """Whether a layer draws random numbers in training."""
    return any(map(_draws, all_layers(model)))


def _draws(layer: Any) -> bool:
    held = vars(layer)
    if not any(isinstance(value, keras.random.SeedGenerator) for value in held.values()):
        return False
    rates = [held[name] for name in ("rate", "dropout", "recurrent_dropout") if name in held]
    return any(rates) or not rates


def all_layers(model: keras.Model) -> Iterator[Any]:
    """Every layer and operation of a model, and those that its layers hold, each once."""
    seen: set[int] = set()
    waiting: list[Any] = [model]
    while waiting:
        found = waiting.pop()
        if id(found) in seen:
            continue
        seen.add(id(found))
        if isinstance(found, keras.Model):
            waiting.extend(found.operations if found.inputs else found.layers)
            continue
        yield found
        for value in vars(found).values():
            parts = value.values() if isinstance(value, dict) else value
            parts = parts if isinstance(value, (dict, list, tuple)) else [value]
            waiting.extend(part for part in parts if isinstance(part, keras.Operation))


def smallest_vocabulary(model: keras.Model, most: int | None = None) -> int | None:
    """How many ids every input of a model knows, and at most `most`; `None` where nothing says."""
    sizes = (*(item.vocabulary_size for item in model_inputs(model)), most)
    return min((size for size in sizes if size is not None), default=None)


class Call:
    """One call of a layer or an operation in a graph.

    Attributes:
        operation: What is called.
        arguments: What with, `keras.KerasTensor` for what is computed.
        options: The same, by name.
        tensors: The tensors among them, in order.
        outputs: The tensors that come out.
    """

    def __init__(
        self, number: int, operation: Any, arguments: tuple[Any, ...], options: dict[str, Any]
    ) -> None:
        self.operation = operation
        self.arguments = arguments
        self.options = options
        leaves = keras.tree.flatten((arguments, options))
        self.tensors = [leaf for leaf in leaves if isinstance(leaf, keras.KerasTensor)]
        stand_in = _StandIn(self.specs, f"call_{number}_of_the_graph")
        self.outputs = keras.tree.flatten(stand_in(self.tensors))

    def specs(self) -> Any:
        """What comes out, as Keras says of a call that it has seen before."""
        try:
            known = self.operation.output
        except (AttributeError, ValueError):
            # There is more than one.
            known = self.operation.compute_output_spec(*self.arguments, **self.options)
        return keras.tree.map_structure(lambda t: keras.KerasTensor(t.shape, t.dtype), known)


class _StandIn(keras.layers.Layer):
    """Stands for what is called in a copy of a graph."""

    def __init__(self, specs: Callable[[], Any], name: str) -> None:
        super().__init__(name=name, dtype="float32", autocast=False)
        self.specs = specs

    def build(self, input_shape: Any) -> None:
        self.built = True

    def compute_output_spec(self, tensors: Any) -> Any:
        return self.specs()


class Graph:
    """The calls of a functional model, in their order, on tensors of their own.

    Read from a copy that Keras makes: the config of a model says the same, but to write one Keras
    imports TensorFlow wherever it is installed.

    Args:
        model: A functional model.

    Attributes:
        inputs: Tensors, in the order of the model's inputs.
        calls: `Call`s.
        outputs: Tensors, in the order of the model's outputs.
    """

    def __init__(self, model: keras.Model) -> None:
        self.calls: list[Call] = []

        def call(operation: Any, *arguments: Any, **options: Any) -> Any:
            self.calls.append(Call(len(self.calls), operation, arguments, options))
            return self.calls[-1].outputs

        # Keras would compile a copy as its model is.
        plain = keras.Model(model.inputs, model.outputs, name=model.name)
        copy = keras.models.clone_model(plain, clone_function=lambda it: it, call_function=call)
        self.inputs, self.outputs = copy.inputs, copy.outputs


def _graph(model: keras.Model) -> Graph | None:
    return None if isinstance(model, keras.Sequential) else Graph(model)


def _readers(model: keras.Model, graph: Graph | None) -> list[list[Any]]:
    """For each input the layers and operations that read it, also inside of inner models."""
    if graph is None:
        # The first layer of a Sequential reads its one input.
        return [_inside(model.layers[0])[0]]
    readers: dict[int, list[Any]] = {id(tensor): [] for tensor in graph.inputs}
    for call in graph.calls:
        inside = _inside(call.operation)
        for position, tensor in enumerate(call.tensors):
            if id(tensor) in readers:
                readers[id(tensor)].extend(inside[min(position, len(inside) - 1)])
    return [readers[id(tensor)] for tensor in graph.inputs]


def _reached(model: keras.Model, graph: Graph | None, place: int) -> list[Any]:
    """The calls that the padding of an input reaches."""
    if any(size is not None for size in model.inputs[place].shape[1:]):
        return []
    if graph is None:
        alone = [types.SimpleNamespace(operation=layer, arguments=()) for layer in model.layers]
        return alone if len(alone) == 1 else []
    tensors = {id(graph.inputs[place])}
    calls = []
    for call in graph.calls:
        # An axis of unknown size beside the first is one that padding may stand on.
        if any(id(t) in tensors and None in t.shape[1:] for t in call.tensors):
            calls.append(call)
            tensors.update(map(id, call.outputs))
    return calls


def _ignores_padding(call: Any) -> bool:
    operation = call.operation
    if isinstance(operation, keras.Model) and operation.inputs:
        return all(item.ignores_padding for item in model_inputs(operation))
    # Keras writes down the operations that made a mask: padding is what they look for.
    if type(operation).__name__ == "NotEqual":
        return len(call.arguments) == 2 and call.arguments[1] == 0
    return type(operation).__name__ == "Any" or getattr(operation, "ignores_padding", False)


def _inside(operation: Any) -> list[list[Any]]:
    if isinstance(operation, keras.Model) and operation.inputs:
        return _readers(operation, _graph(operation))
    sizes = getattr(operation, "vocabulary_sizes", None)
    if sizes is not None:
        longest = _max_length(operation)
        return [[types.SimpleNamespace(vocabulary_size=size, max_length=longest)] for size in sizes]
    return [[operation]]


def _max_length(reader: Any) -> int | None:
    return getattr(reader, "max_length", None)


def _vocabulary_size(reader: Any) -> int | None:
    if isinstance(reader, keras.layers.Embedding):
        return reader.input_dim
    return getattr(reader, "vocabulary_size", None)
