"""The base class of layers that contain layers, and the options that all layers take."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Self, TypeAlias, TypedDict

import keras

from keras_qa.layers.zero_initialized import ZeroInitialized

# A policy, its name, or `None` for Keras' global policy.
DType: TypeAlias = str | keras.DTypePolicy | None

# Keys of a layer's config that Keras reads before it builds the layer.
_BUILT_FROM = ("lora_rank", "lora_alpha", "quantization_config")

# Keys that a file may set for an inner layer.
_CHANGED = {*_BUILT_FROM, "dtype", "trainable"}


class UnnamedOptions(TypedDict, total=False):
    """Options of `keras.layers.Layer` for functions with a `name` argument of their own."""

    dtype: DType
    trainable: bool


class LayerOptions(UnnamedOptions, total=False):
    """Options of `keras.layers.Layer`."""

    name: str | None


class Composite(ZeroInitialized):
    """A layer that contains layers and saves later changes of them.

    The constructor arguments do not describe an inner layer that was frozen, quantized or adapted
    by `enable_lora` later. The config records such changes under `held`, by the layer's path.
    """

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        changed = {
            path: state
            for path, layer in _inner_layers(self)
            if (state := _get_changes(layer, self.trainable))
        }
        return {**config, "held": changed} if changed else config

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        config = dict(config)
        changed = config.pop("held", {})
        layer = super().from_config(config)
        by_path = dict(_inner_layers(layer))
        if not isinstance(changed, dict) or not changed.keys() <= by_path.keys():
            raise ValueError(
                "`held` must be an object whose keys are paths of inner layers. Received: "
                f"held={changed!r:.80}."
            )
        for path, state in changed.items():
            if not isinstance(state, dict) or not state.keys() <= _CHANGED:
                raise ValueError(
                    f"`held` may only set {', '.join(sorted(_CHANGED))} of a layer. Received: "
                    f"{path:.80}={state!r:.80}."
                )
            _apply_changes(by_path[path], state)
        return layer


def _inner_layers(
    layer: keras.layers.Layer, before: str = ""
) -> Iterator[tuple[str, keras.layers.Layer]]:
    """All layers inside a layer, at any depth, with their paths."""
    modules = vars(layer).get("_modules", {})
    for name, value in sorted({**vars(layer), **modules}.items()):
        parts = enumerate(value) if isinstance(value, (list, tuple)) else [("", value)]
        for place, part in parts:
            if isinstance(part, keras.layers.Layer) and not name.startswith("_"):
                path = f"{before}{name}{place}"
                yield path, part
                yield from _inner_layers(part, f"{path}.")


def _get_changes(layer: keras.layers.Layer, trainable: bool) -> dict[str, Any]:
    config = layer.get_config()
    state = {name: config[name] for name in _BUILT_FROM if config.get(name) is not None}
    if getattr(layer, "quantization_mode", None) is not None:
        state["dtype"] = config["dtype"]
    # A frozen outer layer freezes its inner layers.
    if trainable and not layer.trainable:
        state["trainable"] = False
    return state


def _apply_changes(layer: keras.layers.Layer, state: dict[str, Any]) -> None:
    for name, value in state.items():
        if name == "dtype":
            layer.dtype_policy = keras.dtype_policies.get(value)
        elif name == "quantization_config":
            layer.quantization_config = keras.saving.deserialize_keras_object(value)
        else:
            setattr(layer, name, value)
