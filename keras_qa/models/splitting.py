"""Cuts a model in two, so that what depends on one input alone is computed once."""

from __future__ import annotations

from typing import Any

import keras

from keras_qa.inputs import tensor_configs


def split(model: keras.Model, name: str) -> tuple[keras.Model, keras.Model] | None:
    """Cuts a functional model behind everything that depends on one input alone.

    Both parts share their layers and weights with the model.

    Args:
        model: A functional `keras.Model`.
        name: Name of the input.

    Returns:
        A model from this input to a list of vectors, and a model from these
        vectors and the other inputs, in their order, to the model's outputs.
        `None` where a layer serves both parts, so that there is no cut.

    Example:

    >>> from keras_qa.models import answer_classifier
    >>> from keras_qa.models.splitting import split
    >>> encoder, rest = split(answer_classifier(100, 100, 5), "text")
    >>> [tensor.shape for tensor in rest.inputs]
    [(None, 32), (None, None)]
    """
    sources: dict[str, set[str]] = {tensor.name: {tensor.name} for tensor in model.inputs}
    readers: dict[str, list[str]] = {}
    operations = {operation.name: operation for operation in model.operations}
    for config in model.get_config()["layers"]:
        nodes = config["inbound_nodes"]
        if len(nodes) > 1:
            return None
        for tensor in tensor_configs(nodes):
            before = tensor["config"]["keras_history"][0]
            sources.setdefault(config["name"], set()).update(sources[before])
            readers.setdefault(before, []).append(config["name"])
    alone = {layer for layer, needed in sources.items() if needed == {name}}
    cut = [
        layer
        for layer in alone
        if layer != name and any(reader not in alone for reader in readers.get(layer, ()))
    ]
    tensors: list[Any] = [operations[layer].output for layer in sorted(cut)]
    direct = any(reader not in alone for reader in readers.get(name, ()))
    if not tensors or direct or not all(isinstance(t, keras.KerasTensor) for t in tensors):
        return None
    (own,) = (tensor for tensor in model.inputs if tensor.name == name)
    others = [tensor for tensor in model.inputs if tensor.name != name]
    return keras.Model([own], tensors), keras.Model([*tensors, *others], model.output)
