"""Maps the tensors of a checkpoint to the weights of an encoder and its head."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np

from keras_qa.layers import TransformerEncoder
from keras_qa.models.pretrained.checkpoint_tensors import Tensors
from keras_qa.models.pretrained.family import Family, Head

# Tensors of pretraining heads, which are ignored.
_LEFT_OVER = re.compile(
    r"(.*\.)?(pooler|position_ids|cls|lm_head|predictions|sop_classifier|decoder|vocab_\w+"
    r"|generator_\w+|discriminator_\w+|lm_predictions|mask_predictions)(\.|$)"
)
# Names of normalization weights in old checkpoints.
_OLD = {".gamma": ".weight", ".beta": ".bias"}


@dataclasses.dataclass(frozen=True)
class Part:
    """A weight of a layer, and its tensors in a checkpoint."""

    # The tensors are concatenated along the last axis of the weight.
    names: tuple[str, ...]
    layer: keras.layers.Layer
    weight: str
    # Whether the tensors have the shape (outputs, inputs).
    transposed: bool = False

    def split(self) -> Iterator[tuple[str, np.ndarray]]:
        """Yields the names and values of the tensors."""
        value = np.asarray(keras.ops.convert_to_numpy(getattr(self.layer, self.weight)))
        for name, part in zip(self.names, np.split(value, len(self.names), axis=-1), strict=True):
            yield name, np.ascontiguousarray(part.T if self.transposed else part)


def encoder_parts(encoder: TransformerEncoder, family: Family) -> Iterator[Part]:
    """Yields the weights of an encoder, with tensor names without the family's prefix."""
    names = family.names
    ends = ("tokens", "positions", "segments", "norm", "project", "relative", "relative_norm")
    for name in (*ends, "final_norm", "final_dense", "final_dense_norm"):
        layer = getattr(encoder, name)
        if layer is not None:
            yield from _parts(layer, names[name])
    for index, block in enumerate(encoder.blocks):
        before = names["block"].format(index)
        joined = [f"{before}.{names[n]}" for n in ("query", "key", "value") if n in names]
        yield from _parts(block.attention.projection, *joined)
        yield from _parts(block.attention.output_projection, f"{before}.{names['attention']}")
        for name in ("attention_norm", "hidden", "output_dense", "output_norm"):
            layer = getattr(block, name)
            if layer is not None:
                yield from _parts(layer, f"{before}.{names[name]}")


def head_parts(layer: keras.layers.Layer, head: Head) -> Iterator[Part]:
    """Yields the weights of a `SpanHead` or a `ClassificationHead`, with whole tensor names."""
    for name in ("dense", "norm", "logits"):
        inner = getattr(layer, name, None)
        if inner is not None:
            yield from _parts(inner, getattr(head, name))


def _parts(layer: keras.layers.Layer, *names: str) -> Iterator[Part]:
    weights = tuple(f"{name}.weight" for name in names)
    biases = tuple(f"{name}.bias" for name in names)
    if isinstance(layer, keras.layers.Embedding):
        yield Part(weights, layer, "embeddings")
    elif isinstance(layer, keras.layers.LayerNormalization):
        yield Part(weights, layer, "gamma")
        if layer.center:
            yield Part(biases, layer, "beta")
    else:
        yield Part(weights, layer, "kernel", transposed=True)
        if layer.use_bias:
            yield Part(biases, layer, "bias")


class Names:
    """A checkpoint's tensor names by their current names, with or without the family's prefix."""

    def __init__(self, tensors: Tensors, family: Family) -> None:
        self._prefix = f"{family.prefix}."
        self._current: dict[str, str] = {}
        for name in tensors.names:
            short = name.removeprefix(self._prefix)
            for old, new in _OLD.items():
                if short.endswith(old):
                    short = short.removesuffix(old) + new
            self._current[short] = name

    def __contains__(self, name: str) -> bool:
        return name.removeprefix(self._prefix) in self._current

    def __getitem__(self, name: str) -> str:
        return self._current[name.removeprefix(self._prefix)]

    def left_over(self, used: set[str]) -> list[str]:
        """Returns the names of unused tensors, except those of pretraining heads."""
        short_names = {name.removeprefix(self._prefix) for name in used}
        return sorted(
            name
            for short, name in self._current.items()
            if short not in short_names and not _LEFT_OVER.match(short)
        )


def fill(parts: list[Part], tensors: Tensors, names: Names, where: Any) -> None:
    """Assigns tensors to weights. Raises if a tensor is missing, unexpected or of another shape."""
    missing = [name for part in parts for name in part.names if name not in names]
    if missing:
        raise ValueError(lacks(where, missing))
    left = names.left_over({name for part in parts for name in part.names})
    if left:
        raise ValueError(_listed(where, "has an unexpected tensor:", left))
    for part in parts:
        variable: Any = getattr(part.layer, part.weight)
        value = read(part, tensors, names)
        if value.shape != tuple(variable.shape):
            raise ValueError(
                f"`{where}`: the tensor `{part.names[0]}` makes a weight of shape {value.shape}, "
                f"but `config.json` says {tuple(variable.shape)}."
            )
        _check_finite(where, part.names[0], value)
        variable.assign(value)


def check_model_finite(where: Any, model: keras.Model) -> None:
    """Raises if one of a model's weights has NaN or infinity."""
    for weight in model.weights:
        _check_finite(where, weight.path, keras.ops.convert_to_numpy(weight))


def _check_finite(where: Any, name: str, value: np.ndarray) -> None:
    if not np.isfinite(value).all():
        raise ValueError(
            f"`{str(where)[-100:]}`: the weight `{name[-80:]}` has NaN or infinity. Get the "
            "file again, or train the model again."
        )


def read(part: Part, tensors: Tensors, names: Names) -> np.ndarray:
    """Reads a weight from a checkpoint."""
    values = [tensors[names[name]] for name in part.names]
    if part.transposed:
        values = [value.T for value in values]
    return values[0] if len(values) == 1 else np.concatenate(values, axis=-1)


def lacks(where: Any, names: list[str]) -> str:
    """Returns the message for missing tensors."""
    return _listed(where, "lacks the tensor", names)


def _listed(where: Any, what: str, names: list[str]) -> str:
    more = f" and {len(names) - 1} more" if len(names) > 1 else ""
    return f"`{where}` {what} `{names[0]}`{more}. Get it again, or use another checkpoint."
