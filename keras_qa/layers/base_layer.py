"""The base classes of the layers of this package, and the options that all layers take."""

from __future__ import annotations

import contextlib
import contextvars
import functools
import inspect
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Self, TypeAlias, TypedDict, cast

import keras

from keras_qa.layers import kernels
from keras_qa.layers.kernels.tensor_types import Shape

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


_zeros: contextvars.ContextVar[Callable[..., Any] | None] = contextvars.ContextVar(
    "skip_initializers", default=None
)


@contextlib.contextmanager
def skip_initializers(most: int | None = None) -> Iterator[None]:
    """Starts weights with zeros inside it: for models whose weights come from a file.

    Drawing the 22 million initial weights of a small encoder takes a second and several times their
    memory, and on JAX a compiled program for each shape. A layer that exceeds `most` weights in
    total raises a `ValueError` before memory is allocated.
    """
    left = math.inf if most is None else most

    def zeros(shape: Sequence[int], dtype: Any = None) -> Any:
        nonlocal left
        left -= math.prod(shape)
        if left < 0:
            raise ValueError(
                f"its layers have more than {most:,} numbers, which is more than its weights hold."
            )
        return kernels.zeros(shape, dtype)

    token = _zeros.set(zeros)
    try:
        yield
    finally:
        _zeros.reset(token)


class ZeroInitialized(kernels.Layer):
    """A layer that respects `skip_initializers`."""

    def add_weight(self, *arguments: object, **options: object) -> keras.Variable:
        return _add_weight(super().add_weight, *arguments, **options)


@contextlib.contextmanager
def zero_initialized(layer: keras.layers.Layer) -> Iterator[None]:
    """Makes a layer of Keras respect `skip_initializers` while it is built inside."""
    layer.add_weight = functools.partial(_add_weight, layer.add_weight)
    try:
        yield
    finally:
        del layer.add_weight


def _add_weight(
    add_weight: Callable[..., keras.Variable], *arguments: object, **options: object
) -> keras.Variable:
    if (zeros := _zeros.get()) is not None:
        options["initializer"] = zeros
    return add_weight(*arguments, **options)


class BaseLayer(ZeroInitialized):
    """A layer whose config has its constructor arguments and later changes of its inner layers.

    The constructor arguments do not describe an inner layer that was frozen, quantized or adapted
    by `enable_lora` later. The config records such changes under `held`, by the layer's path.
    """

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        for name in argument_names(type(self)):
            if name not in config and hasattr(self, name):
                config[name] = to_plain(getattr(self, name))
        changed = {
            path: state
            for path, layer in inner_layers(self)
            if (state := _get_changes(layer, self.trainable))
        }
        return {**config, "held": changed} if changed else config

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        config = dict(config)
        changed = config.pop("held", {})
        layer = super().from_config(config)
        by_path = dict(inner_layers(layer))
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


def argument_names(kind: type[BaseLayer]) -> Iterator[str]:
    """Yields the names of the constructor arguments of a class, those of its bases first."""
    for parent in reversed(kind.__mro__):
        if issubclass(parent, BaseLayer) and "__init__" in vars(parent):
            for name, parameter in inspect.signature(parent.__init__).parameters.items():
                if parameter.kind is parameter.POSITIONAL_OR_KEYWORD and name != "self":
                    yield name


def to_plain(value: object) -> object:
    """Returns a new list or `dict` for a tuple, a list or a mapping: types of JSON."""
    if isinstance(value, Mapping):
        return dict(value)
    return list(value) if isinstance(value, (list, tuple)) else value


def inner_layers(
    layer: keras.layers.Layer, before: str = ""
) -> Iterator[tuple[str, keras.layers.Layer]]:
    """Yields all layers inside a layer, at any depth, with their paths."""
    modules = vars(layer).get("_modules", {})
    for name, value in sorted({**vars(layer), **modules}.items()):
        items = enumerate(value) if isinstance(value, (list, tuple)) else [("", value)]
        for index, item in items:
            if isinstance(item, keras.layers.Layer) and not name.startswith("_"):
                path = f"{before}{name}{index}"
                yield path, item
                yield from inner_layers(item, f"{path}.")


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


def shape_list(input_shape: Shape | Sequence[Shape]) -> list[Shape]:
    """A list of shapes from one shape or from several, as tuples or as lists (JSON)."""
    several = isinstance(input_shape[0], (list, tuple))
    return cast(list[Shape], list(input_shape) if several else [input_shape])
