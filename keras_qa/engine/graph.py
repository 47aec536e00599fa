"""What a functional model is made of: its calls, properties of its inputs, changes of its layers.

Properties are read from optional attributes or properties of the layers:

- `ignores_padding`: rows are computed independently, and columns of zeros at their end change
  nothing. Rows of similar length can then share a batch that is cut to their length.
- `ends_early`: a compiled loop over time ends with the longest row of the batch, so that one
  compiled width serves shorter batches, too.
- `has_large_products`: matrix products, which use several cores, take most of the time.
- `folds_choices`: axis 1 of inputs of rank 3 is that of choices, which are rows inside the model.
- `vocabulary_size`, or `vocabulary_sizes` with one for each input: ids must be below.
- `max_length`: the longest sequence.
- `output_padding`: the constant value of its output at padding, if that is as wide as the text.
"""

from __future__ import annotations

import dataclasses
import functools
import operator
import types
import weakref
from collections.abc import Callable, Iterator
from itertools import chain
from typing import Any

import keras
import numpy as np


@dataclasses.dataclass(frozen=True)
class ModelInput:
    """Properties of one input of a model.

    Attributes:
        vocabulary_size: Number of rows of the smallest embedding of the ids, `None` if unknown.
        max_length: Longest sequence of the encoders, `None` if unlimited.
        readers: Layers that read the input.
        reached: Calls whose results have an axis that may contain its padding.
    """

    name: str
    shape: tuple[int | None, ...]
    dtype: str
    vocabulary_size: int | None
    max_length: int | None
    readers: list[Any] = dataclasses.field(repr=False)
    reached: list[Call] = dataclasses.field(repr=False)

    @functools.cached_property
    def holds_ids(self) -> bool:
        return np.issubdtype(np.dtype(self.dtype), np.integer)

    @property
    def ignores_padding(self) -> bool:
        """Whether columns of zeros at its end can be removed without changing the outputs."""
        return bool(self.reached) and all(map(_ignores_padding, self.reached))

    @property
    def ends_early(self) -> bool:
        """Whether compiled loops skip columns of zeros at its end."""
        return all(getattr(reader, "ends_early", False) for reader in self.readers)


# A cache: the graph of a functional model never changes, and reading it takes longer than a batch.
_KNOWN: weakref.WeakKeyDictionary[keras.Model, tuple[ModelInput, ...]] = weakref.WeakKeyDictionary()


def model_inputs(model: keras.Model) -> tuple[ModelInput, ...]:
    """Returns the properties of each input of a functional model, in order."""
    if model not in _KNOWN:
        graph = Graph(model)
        _KNOWN[model] = tuple(
            ModelInput(
                tensor.name,
                tuple(tensor.shape),
                str(tensor.dtype),
                min(filter(None, map(_vocabulary_size, readers)), default=None),
                min(filter(None, (getattr(r, "max_length", None) for r in readers)), default=None),
                readers,
                _reached(graph, start),
            )
            for tensor, start, readers in zip(
                model.inputs, graph.inputs, _readers(graph), strict=True
            )
        )
    return _KNOWN[model]


def state_variables(model: keras.Model) -> list[keras.Variable]:
    """Returns the variables of a model, and of its optimizer if it has one."""
    # A model that was never compiled has no such attribute.
    optimizer = getattr(model, "optimizer", None)
    return [*model.variables, *(optimizer.variables if optimizer is not None else ())]


def ignores_padding(model: keras.Model) -> bool:
    """Whether columns of zeros at the end of any input change nothing."""
    return all(item.ignores_padding for item in model_inputs(model))


def ends_early(model: keras.Model) -> bool:
    """Whether compiled loops should end with the longest row: one width then serves all batches."""
    has_loops = any(getattr(layer, "ends_early", False) for layer in model.layers)
    return has_loops and ignores_padding(model)


def compiles_predictions(model: keras.Model) -> bool:
    """Whether predictions are compiled for each shape."""
    return bool(model.jit_compile or getattr(model, "_compiles_loops", False))


def has_large_products(model: keras.Model) -> bool:
    """Whether large matrix products take most of the time, as in an encoder."""
    return any(getattr(layer, "has_large_products", False) for layer in model.layers)


def folds_choices(model: keras.Model) -> bool:
    """Whether axis 1 of inputs of rank 3 is that of choices."""
    return any(getattr(layer, "folds_choices", False) for layer in model.layers)


def text_position(model: keras.Model) -> int:
    """The position of the input that outputs may be as wide as: `choices`, `text` or the first."""
    names = [tensor.name for tensor in model.inputs]
    return next((names.index(name) for name in ("choices", "text") if name in names), 0)


def output_padding(model: keras.Model) -> float | None:
    """The constant value at padding of outputs that are as wide as the text, or `None`."""
    own: float | None = getattr(model, "output_padding", None)
    if own is not None or len(model.outputs) > 1:
        return own
    return getattr(model.operations[-1], "output_padding", None)


def classifies_positions(model: keras.Model) -> bool:
    """Whether the only output has logits of labels for each position of the text."""
    is_wide = len(model.outputs) == 1 and len(model.outputs[0].shape) == 3
    return is_wide and output_padding(model) is not None


def rows_are_independent(model: keras.Model) -> bool:
    """Whether each row of a batch is computed independently of the other rows.

    This is true if all layers declare `ignores_padding` or are built-in layers of Keras without
    functions of the user. It is false for other layers and for functions such as `keras.ops.mean`.
    """
    operations = model.operations if model.inputs else model.layers
    return all(map(_is_row_wise, operations)) and all(map(is_from_keras, functions_of(model)))


def _is_row_wise(operation: Any) -> bool:
    if isinstance(operation, keras.Model):
        return rows_are_independent(operation)
    if getattr(operation, "ignores_padding", False):
        return True
    kind = type(operation)
    is_own = getattr(keras.layers, kind.__name__, None) is kind
    # Recorded when a layer computes a mask.
    is_own = is_own or kind.__name__ in ("NotEqual", "Any")
    axes = vars(operation).get("axis", -1)
    axes = axes if isinstance(axes, (list, tuple)) else [axes]
    return is_own and kind is not keras.layers.Lambda and not {0, None}.intersection(axes)


def functions_of(model: keras.Model) -> Iterator[Any]:
    """Functions in attributes of the layers of Keras and of this package, such as activations."""
    kinds = (types.FunctionType, types.MethodType, functools.partial)
    for layer in filter(is_from_keras, all_layers(model)):
        yield from (value for value in vars(layer).values() if isinstance(value, kinds))


def is_from_keras(value: Any) -> bool:
    """Whether a function, a class or an object is from Keras or this package. True for names."""
    if value is None or isinstance(value, str):
        return True
    kinds = (type, types.FunctionType, types.MethodType)
    module = (value if isinstance(value, kinds) else type(value)).__module__
    return module.startswith(("keras.", "keras_qa."))


def all_layers(model: keras.Model) -> Iterator[Any]:
    """All layers and operations of a model, at any depth, each once."""
    seen: set[int] = set()
    waiting: list[Any] = [model]
    while waiting:
        part = waiting.pop()
        if id(part) in seen:
            continue
        seen.add(id(part))
        if isinstance(part, keras.Model):
            waiting.extend(part.operations if part.inputs else part.layers)
            continue
        yield part
        for value in vars(part).values():
            values = value.values() if isinstance(value, dict) else value
            values = values if isinstance(value, (dict, list, tuple)) else [value]
            waiting.extend(item for item in values if isinstance(item, keras.Operation))


def smallest_vocabulary(model: keras.Model, most: int | None) -> int | None:
    """The smallest vocabulary of the inputs of a model, at most `most`. `None` if unknown."""
    sizes = (*(item.vocabulary_size for item in model_inputs(model)), most)
    return min((size for size in sizes if size is not None), default=None)


class Call:
    """One call of a layer or an operation in a graph, with `keras.KerasTensor`s for values."""

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
        """Shapes and dtypes of the outputs."""
        try:
            output = self.operation.output
        except (AttributeError, ValueError):
            # The operation is called several times.
            output = self.operation.compute_output_spec(*self.arguments, **self.options)
        return keras.tree.map_structure(lambda t: keras.KerasTensor(t.shape, t.dtype), output)


class _StandIn(keras.layers.Layer):
    """A placeholder of an operation in a copy of a graph."""

    def __init__(self, specs: Callable[[], Any], name: str) -> None:
        super().__init__(name=name, dtype="float32", autocast=False)
        self.specs = specs

    def build(self, input_shape: Any) -> None:
        self.built = True

    def compute_output_spec(self, tensors: Any) -> Any:
        return self.specs()


class Graph:
    """The calls of a functional model in their order, from a copy with tensors of its own.

    The config of a model has the same information, but to write it Keras imports TensorFlow if it
    is installed.
    """

    def __init__(self, model: keras.Model) -> None:
        self.calls: list[Call] = []

        def call(operation: Any, *arguments: Any, **options: Any) -> Any:
            self.calls.append(Call(len(self.calls), operation, arguments, options))
            return self.calls[-1].outputs

        # Not compiled: Keras would also compile the copy.
        plain = keras.Model(model.inputs, model.outputs, name=model.name)
        copy = keras.models.clone_model(plain, clone_function=lambda it: it, call_function=call)
        self.inputs, self.outputs = copy.inputs, copy.outputs


def _readers(graph: Graph) -> list[list[Any]]:
    """For each input the layers and operations that read it, also in inner models."""
    readers: dict[int, list[Any]] = {id(tensor): [] for tensor in graph.inputs}
    for call in graph.calls:
        inside = _inside(call.operation)
        for position, tensor in enumerate(call.tensors):
            if id(tensor) in readers:
                readers[id(tensor)].extend(inside[min(position, len(inside) - 1)])
    return [readers[id(tensor)] for tensor in graph.inputs]


def _reached(graph: Graph, start: Any) -> list[Call]:
    """The calls that the padding of an input can reach."""
    if any(size is not None for size in start.shape[1:]):
        return []
    tensors = {id(start)}
    calls = []
    for call in graph.calls:
        # Axes of unknown size, except the first, may contain padding.
        if any(id(t) in tensors and None in t.shape[1:] for t in call.tensors):
            calls.append(call)
            tensors.update(map(id, call.outputs))
    return calls


def _ignores_padding(call: Call) -> bool:
    operation = call.operation
    if isinstance(operation, keras.Model) and operation.inputs:
        return all(item.ignores_padding for item in model_inputs(operation))
    # `inputs != 0` and `any` are recorded when a layer computes a mask.
    if type(operation).__name__ == "NotEqual":
        return len(call.arguments) == 2 and call.arguments[1] == 0
    return type(operation).__name__ == "Any" or getattr(operation, "ignores_padding", False)


def _inside(operation: Any) -> list[list[Any]]:
    if isinstance(operation, keras.Model) and operation.inputs:
        return _readers(Graph(operation))
    sizes = getattr(operation, "vocabulary_sizes", None)
    if sizes is not None:
        longest = getattr(operation, "max_length", None)
        return [[types.SimpleNamespace(vocabulary_size=size, max_length=longest)] for size in sizes]
    return [[operation]]


def _vocabulary_size(reader: Any) -> int | None:
    if isinstance(reader, keras.layers.Embedding):
        return reader.input_dim
    return getattr(reader, "vocabulary_size", None)


# Set on every call; compiled programs do not depend on them.
_SET_BY_CALLS = {
    *("_called", "_losses", "_parent_path", "built", "training"),
    *("_dropout_mask", "_recurrent_dropout_mask"),
}

_MISSING = object()


class LayerState:
    """A snapshot of the attributes of all layers of a model.

    Keras uses a compiled step until the next `compile`. A change of a layer in between, such as
    `enable_lora` or another activation, would have no effect.
    """

    def __init__(self, model: keras.Model) -> None:
        self._model = model
        self._is_settled = False

    def settle(self) -> None:
        """Takes the snapshot. Call it after the first trace, which sets some attributes."""
        self._is_settled = True
        self._layers = [vars(layer) for layer in all_layers(self._model)]
        self._seen = [dict(attributes) for attributes in self._layers]

    def is_current(self) -> bool:
        """Whether each attribute is still the same object. True before `settle`."""
        if not self._is_settled:
            return True
        # A fast check for the usual case: a large model has thousands of attributes.
        values = [chain.from_iterable(map(dict.values, x)) for x in (self._seen, self._layers)]
        is_same = list(map(len, self._layers)) == list(map(len, self._seen))
        if is_same and all(map(operator.is_, *values)):
            return True
        for seen, attributes in zip(self._seen, self._layers, strict=True):
            for name in (seen.keys() | attributes.keys()) - _SET_BY_CALLS:
                if seen.get(name, _MISSING) is not attributes.get(name, _MISSING):
                    return False
        self.settle()
        return True

    @functools.cached_property
    def rows_are_independent(self) -> bool:
        """See `graph.rows_are_independent`."""
        return rows_are_independent(self._model)

    @functools.cached_property
    def ignores_padding(self) -> bool:
        """See `graph.ignores_padding`."""
        return ignores_padding(self._model)
