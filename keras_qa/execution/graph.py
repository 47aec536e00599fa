"""What the graph of a functional model says of its inputs: shapes, vocabularies, padding."""

from __future__ import annotations

import dataclasses
import functools
import types
import weakref
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np


@dataclasses.dataclass(frozen=True)
class ModelInput:
    """What a model expects of one of its inputs.

    `ignores_padding` says that columns of zeros at its end may be cut off: every layer that reads
    it says so of itself.
    """

    name: str
    shape: tuple[int | None, ...]
    dtype: str
    vocabulary_size: int | None
    ignores_padding: bool

    @functools.cached_property
    def holds_ids(self) -> bool:
        return np.issubdtype(np.dtype(self.dtype), np.integer)


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
        _KNOWN[model] = tuple(
            ModelInput(
                tensor.name,
                tuple(tensor.shape),
                str(tensor.dtype),
                min((size for size in map(_vocabulary_size, readers) if size), default=None),
                _padding_is_ignored(model, tensor),
            )
            for tensor, readers in zip(model.inputs, _readers(model), strict=True)
        )
    return _KNOWN[model]


def smallest_vocabulary(model: keras.Model, most: int | None = None) -> int | None:
    """How many ids every input of a model knows, and at most `most`; `None` where nothing says."""
    sizes = (*(item.vocabulary_size for item in model_inputs(model)), most)
    return min((size for size in sizes if size is not None), default=None)


def tensor_configs(value: Any) -> list[dict[str, Any]]:
    """Every tensor named in a part of a functional model's config, in order."""
    if isinstance(value, Mapping):
        if value.get("class_name") == "__keras_tensor__":
            return [dict(value)]
        return [leaf for item in value.values() for leaf in tensor_configs(item)]
    if isinstance(value, (list, tuple)):
        return [leaf for item in value for leaf in tensor_configs(item)]
    return []


def _readers(model: keras.Model) -> list[list[Any]]:
    """For each input the layers and operations that read it, also inside of inner models."""
    if isinstance(model, keras.Sequential):
        # A Sequential writes no graph: its first layer reads the one input.
        return [_inside(model.layers[0])[0]]
    config = model.get_config()
    operations = {operation.name: operation for operation in model.operations}
    readers: dict[str, list[Any]] = {tensor.name: [] for tensor in model.inputs}
    for layer_config in config.get("layers", ()):
        inside = _inside(operations[layer_config["name"]])
        for node in layer_config["inbound_nodes"]:
            tensors = tensor_configs(node["args"]) + tensor_configs(node["kwargs"])
            for position, tensor in enumerate(tensors):
                source = tensor["config"]["keras_history"][0]
                if source in readers:
                    readers[source].extend(inside[min(position, len(inside) - 1)])
    return [readers[tensor.name] for tensor in model.inputs]


def _padding_is_ignored(model: keras.Model, tensor: Any) -> bool:
    """Whether no layer that the padding of an input reaches is changed by it."""
    if any(size is not None for size in tensor.shape[1:]):
        return False
    if isinstance(model, keras.Sequential):
        return len(model.layers) == 1 and getattr(model.layers[0], "ignores_padding", False)
    operations = {operation.name: operation for operation in model.operations}
    reached = {tensor.name}
    # Layers come in the order in which they are computed.
    for config in model.get_config()["layers"]:
        for node in config["inbound_nodes"]:
            # An axis of unknown size beside the first is one that padding may stand on.
            if any(
                source["config"]["keras_history"][0] in reached
                and None in source["config"]["shape"][1:]
                for source in tensor_configs([node["args"], node["kwargs"]])
            ):
                if not _ignores_padding(operations[config["name"]], node):
                    return False
                reached.add(config["name"])
    return len(reached) > 1


def _ignores_padding(operation: Any, node: Mapping[str, Any]) -> bool:
    if isinstance(operation, keras.Model) and operation.inputs:
        return all(item.ignores_padding for item in model_inputs(operation))
    # Keras writes down the operations that made a mask: padding is what they look for.
    if type(operation).__name__ == "NotEqual":
        return len(node["args"]) == 2 and node["args"][1] == 0
    return type(operation).__name__ == "Any" or getattr(operation, "ignores_padding", False)


def _inside(operation: Any) -> list[list[Any]]:
    if isinstance(operation, keras.Model) and operation.inputs:
        return _readers(operation)
    sizes = getattr(operation, "vocabulary_sizes", None)
    if sizes is not None:
        return [[types.SimpleNamespace(vocabulary_size=size)] for size in sizes]
    return [[operation]]


def _vocabulary_size(reader: Any) -> int | None:
    if isinstance(reader, keras.layers.Embedding):
        return reader.input_dim
    return getattr(reader, "vocabulary_size", None)
