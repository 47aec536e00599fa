"""Copies of a model with its current weights: split in two, or with its attention as outputs."""

from __future__ import annotations

import copy
import weakref
from typing import Any

import keras
import numpy as np

from keras_qa.engine import execution
from keras_qa.engine.arrays import to_array
from keras_qa.engine.batching import resize
from keras_qa.engine.graph import Graph, ignores_padding, model_inputs
from keras_qa.engine.predicting import fitted

# Caches. The copies do not refer to the models.
_SPLIT: weakref.WeakKeyDictionary[keras.Model, SplitModel] = weakref.WeakKeyDictionary()
_EVIDENCE: weakref.WeakKeyDictionary[keras.Model, Any] = weakref.WeakKeyDictionary()


class SplitModel:
    """A copy of a model, with its current weights, split after the layers of one input only.

    Raises a `NotImplementedError` if both parts share a layer, or if no layer depends on this input
    only.
    """

    def __init__(self, model: keras.Model, name: str) -> None:
        self.name = name
        # New models on old tensors change the graph of the model, so split a copy.
        self.copy = type(model).from_config(model.get_config())
        (own,) = (tensor for tensor in self.copy.inputs if tensor.name == name)
        others = [tensor for tensor in self.copy.inputs if tensor.name != name]
        cut = _cut(self.copy, name)
        encoder = keras.Model([own], cut)
        rest = keras.Model([*cut, *others], self.copy.output)
        self._encode, self._finish = map(execution.BatchPredictor, (encoder, rest))
        self.copy.set_weights(model.get_weights())

    def encode(self, array: np.ndarray) -> list[np.ndarray]:
        """Computes the first part for the one input, which is checked like any feed."""
        ids = self._checked([array], [self.name])
        return [vector[: len(array)] for vector in self._encode(ids)]

    def finish(self, vectors: list[np.ndarray], arrays: list[np.ndarray]) -> Any:
        """Computes the outputs from one or all encoded rows, and the rows of the other inputs."""
        others = [tensor.name for tensor in self.copy.inputs if tensor.name != self.name]
        ids = self._checked(arrays, others)
        rows = len(ids[0])
        vectors = [_with_rows(vector, rows) for vector in vectors]
        outputs = [output[: len(arrays[0])] for output in self._finish([*vectors, *ids])]
        return keras.tree.pack_sequence_as(self.copy.output, outputs)

    def _checked(self, arrays: list[np.ndarray], names: list[str]) -> list[np.ndarray]:
        expected = {item.name: item for item in model_inputs(self.copy)}
        checked = [
            to_array(array, expected[name]) for array, name in zip(arrays, names, strict=True)
        ]
        return fitted(self.copy, checked) if ignores_padding(self.copy) else checked


def split_model(model: Any, name: str) -> SplitModel | None:
    """Returns the model's `SplitModel` for an input, or `None` if it cannot be split."""
    parts = _SPLIT.get(model)
    if parts is None or parts.name != name or not _has_weights_of(parts.copy, model):
        try:
            _SPLIT[model] = parts = SplitModel(model, name)
        except NotImplementedError:
            return None
    return parts


def with_evidence(model: Any) -> Any:
    """Returns the model's `evidence_model`, or the model itself if it has no attention."""
    if sum(hasattr(layer, "return_attention") for layer in model.layers) != 1:
        return model
    evidence = _EVIDENCE.get(model)
    if evidence is None or not _has_weights_of(evidence, model):
        _EVIDENCE[model] = evidence = evidence_model(model)
    return evidence


def evidence_model(model: Any) -> Any:
    """Copies a model, which has one layer with an argument `return_attention`, with more outputs.

    These are `answer`, `(batch, answers)`; `attention`, `(batch, steps, sentences)`; and `support`,
    `(batch, sentences)`: how much the sentences support the answer.
    """
    config = copy.deepcopy(model.get_config())
    config.pop("preprocessor", None)
    layers = [entry for entry in config["layers"] if "return_attention" in entry["config"]]
    if len(layers) != 1:
        raise NotImplementedError("The model must have one layer that returns its attention.")
    layers[0]["config"]["return_attention"] = True
    twin = type(model).from_config(config)
    attention, support = keras.tree.flatten(twin.get_layer(layers[0]["name"]).output)[-2:]
    outputs = {"attention": attention, "support": support}
    # Support that was learned from supporting facts takes precedence over attention.
    outputs.update(twin.output if isinstance(twin.output, dict) else {"answer": twin.output})
    evidence = type(model)(twin.inputs, outputs)
    evidence.output_padding = 0.0
    evidence.set_weights(model.get_weights())
    return evidence


def _has_weights_of(twin: keras.Model, model: keras.Model) -> bool:
    weights = zip(twin.get_weights(), model.get_weights(), strict=True)
    return all(np.array_equal(*pair) for pair in weights)


def _with_rows(vector: np.ndarray, rows: int) -> np.ndarray:
    if len(vector) == 1:
        return np.repeat(vector, rows, axis=0)
    return resize(vector, (rows, *vector.shape[1:]))


def _cut(model: keras.Model, name: str) -> list[Any]:
    graph = Graph(model)
    sources = {
        id(tensor): {own.name} for tensor, own in zip(graph.inputs, model.inputs, strict=True)
    }
    for call in graph.calls:
        if sum(other.operation is call.operation for other in graph.calls) > 1:
            raise NotImplementedError(f"The layer `{call.operation.name}` is used more than once.")
        needed = set().union(*(sources[id(tensor)] for tensor in call.tensors))
        sources.update((id(tensor), needed) for tensor in call.outputs)
    alone = {
        id(tensor): call
        for call in graph.calls
        for tensor in call.outputs
        if sources[id(tensor)] == {name}
    }
    read = {
        id(tensor)
        for call in graph.calls
        if not all(id(tensor) in alone for tensor in call.outputs)
        for tensor in call.tensors
    } | set(map(id, graph.outputs))
    cut = sorted({alone[tensor].operation.name for tensor in read if tensor in alone})
    is_read_itself = any(sources[tensor] == {name} and tensor not in alone for tensor in read)
    if not cut or is_read_itself:
        raise NotImplementedError(f"No layer depends on `{name}` only.")
    operations = {operation.name: operation for operation in model.operations}
    tensors = [tensor for layer in cut for tensor in keras.tree.flatten(operations[layer].output)]
    if any(getattr(tensor, "_keras_mask", None) is not None for tensor in tensors):
        raise NotImplementedError(f"The layers after `{name}` need its mask.")
    return tensors
