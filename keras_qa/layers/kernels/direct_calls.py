"""Layers that predictions on PyTorch call without Keras' checks and conversions."""

from __future__ import annotations

import contextvars
import functools
import inspect
from collections.abc import Callable
from typing import Any

import keras
import torch

# Whether a prediction calls the layers, see `engine.torch.DirectModel`.
is_direct = contextvars.ContextVar("is_direct", default=False)


class Layer(keras.layers.Layer):
    """A Keras layer that `DirectModel` calls without Keras' checks and conversions."""

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        if is_direct.get() and self.built and arguments:
            return call_directly(self, super().__call__, *arguments, **options)
        return super().__call__(*arguments, **options)


def call_directly(layer: Any, by_keras: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
    """Calls `layer.call`, and passes and sets masks as Keras does."""
    kind: Any = type(layer)
    takes_mask = takes(kind, "mask")
    if takes_mask and (len(arguments) > 1 or not {"mask", "training"}.issuperset(options)):
        # Let Keras assign masks to several arguments.
        return by_keras(*arguments, **options)
    mask = options.get("mask")
    if mask is None:
        mask = _masks(arguments[0])
        if takes_mask:
            options["mask"] = mask
    if "training" in options and not takes(kind, "training"):
        del options["training"]
    outputs = layer.call(*arguments, **options)
    if layer.supports_masking:
        _set_masks(outputs, layer.compute_mask(arguments[0], mask))
    return outputs


@functools.cache
def takes(kind: Any, name: str) -> bool:
    """Whether `call` of a class of layers has an argument."""
    return name in inspect.signature(kind.call).parameters


def _masks(inputs: Any) -> Any:
    if isinstance(inputs, torch.Tensor):
        return getattr(inputs, "_keras_mask", None)
    return keras.tree.map_structure(lambda tensor: getattr(tensor, "_keras_mask", None), inputs)


def _set_masks(outputs: Any, masks: Any) -> None:
    if masks is None:
        return
    pairs = zip(keras.tree.flatten(outputs), keras.tree.flatten(masks), strict=False)
    for output, mask in pairs:
        if mask is not None and getattr(output, "_keras_mask", None) is None:
            output._keras_mask = mask
