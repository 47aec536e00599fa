"""Layers for pretrained encoders: a backbone of KerasHub, and pooling."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Any, Unpack

import keras
from keras import ops

from keras_qa._arguments import is_integer
from keras_qa.layers import kernels
from keras_qa.layers.base_layer import LayerOptions
from keras_qa.layers.kernels.masking import mean_over_time
from keras_qa.layers.kernels.tensor_types import Shape, Tensor

INPUTS = ("token_ids", "segment_ids", "padding_mask")

_INSTALL = (
    'Install it: `pip install "keras-qa[hub]"`, or without TensorFlow `pip install --no-deps '
    "keras-hub` and `pip install kagglehub regex rich safetensors sentencepiece`"
)


def keras_hub() -> ModuleType:
    """Imports KerasHub. Raises an `ImportError` with install instructions if it is missing."""
    try:
        import keras_hub as hub
    except ImportError as error:
        raise ImportError(
            f"A pretrained backbone needs KerasHub, which cannot be imported ({error}). {_INSTALL}."
        ) from error
    return hub


@keras.saving.register_keras_serializable(package="keras_qa")
class PretrainedEncoder(keras.layers.Layer):
    """A backbone of KerasHub as a layer: token ids in, a vector for each position out.

    The `keras_hub.models.Backbone` encodes one sequence, with the inputs `token_ids`,
    `padding_mask` and optionally `segment_ids`. The layer takes a list of these, `(batch, time)`
    integers each, in the order of `input_names`; those that are shorter than the first one are
    padded with zeros. Layers that the sequence output does not need, such as BERT's pooler, are
    frozen.
    """

    ignores_padding = True
    has_large_products = True

    def __init__(self, backbone: keras.Model, **kwargs: Unpack[LayerOptions]) -> None:
        super().__init__(**kwargs)
        inputs = getattr(backbone, "input", None) if isinstance(backbone, keras.Model) else None
        names = list(inputs) if isinstance(inputs, Mapping) else []
        if not {"token_ids", "padding_mask"} <= set(names) <= set(INPUTS):
            raise ValueError(
                "`backbone` must be a `keras_hub.models.Backbone` that encodes one sequence, with "
                f"the inputs `token_ids` and `padding_mask`, such as BERT or RoBERTa. Received a "
                f"{type(backbone).__name__} with "
                f"{', '.join(f'`{name}`' for name in names) or 'no inputs by name'}."
            )
        if reason := _unsupported_reason(backbone):
            raise ValueError(
                "`backbone` must be a bidirectional encoder that ignores padding, such as BERT or "
                f"RoBERTa. Received a {type(backbone).__name__}, {reason}."
            )
        output = _sequence_output(backbone.output)
        if len(output.shape) != 3:
            raise ValueError(
                "`backbone` must give a vector for each position. Received a "
                f"{type(backbone).__name__} that gives {tuple(output.shape)}."
            )
        self.backbone = backbone
        self.input_names = [name for name in INPUTS if name in names]
        needed = {id(layer) for layer in keras.Model(backbone.inputs, output).layers}
        for layer in backbone.layers:
            if id(layer) not in needed:
                layer.trainable = False
        longest: Any = getattr(backbone, "max_sequence_length", None)
        self.max_length = int(longest) if is_integer(longest) else None

    @property
    def vocabulary_sizes(self) -> list[int | None]:
        """Number of ids of each input."""
        sizes = (getattr(self.backbone, name, None) for name in ("vocabulary_size", "num_segments"))
        return sizes_of_inputs(self.input_names, *sizes)

    def build(self, input_shape: Sequence[Shape]) -> None:
        self.built = True

    def call(self, inputs: Sequence[Tensor], training: bool | None = None) -> Tensor:
        ids, *others = inputs
        feed = dict(zip(self.input_names, [ids, *pad_to_width(ids, others)], strict=True))
        return ops.cast(
            _sequence_output(self.backbone(feed, training=training)), self.compute_dtype
        )

    def compute_output_spec(
        self, inputs: Sequence[keras.KerasTensor], training: bool | None = None
    ) -> keras.KerasTensor:
        features = _sequence_output(self.backbone.output).shape[-1]
        return keras.KerasTensor((*inputs[0].shape, features), self.compute_dtype)

    def get_config(self) -> dict[str, Any]:
        backbone = keras.saving.serialize_keras_object(self.backbone)
        return {**super().get_config(), "backbone": backbone}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> PretrainedEncoder:
        config = dict(config)
        if isinstance(config["backbone"], Mapping):
            keras_hub()
            config["backbone"] = keras.saving.deserialize_keras_object(config["backbone"])
        return cls(**config)


def sizes_of_inputs(
    names: Sequence[str], vocabulary_size: int | None, num_segments: int | None
) -> list[int | None]:
    """The number of ids of each input of an encoder."""
    sizes = dict(zip(INPUTS, (vocabulary_size, num_segments, 2), strict=True))
    return [sizes[name] for name in names]


def pad_to_width(ids: Tensor, others: Sequence[Tensor]) -> list[Tensor]:
    """Pads the other inputs to the width of the ids: each may have lost trailing zeros."""
    width = ops.shape(ids)[1]
    if all(part.shape[1] is not None and part.shape[1] == ids.shape[1] for part in others):
        return list(others)
    return [ops.concatenate([part, ops.zeros_like(ids)], axis=1)[:, :width] for part in others]


def _unsupported_reason(backbone: keras.Model) -> str | None:
    """Why a backbone is not supported, or `None`."""
    if type(backbone).__name__ == "XLNetBackbone":
        return "whose vectors change with the padding after a text"
    if not type(backbone).__module__.startswith("keras_hub."):
        return None
    waiting = [keras_hub().models.CausalLM]
    while waiting:
        task = waiting.pop()
        waiting.extend(task.__subclasses__())
        kind = getattr(task, "backbone_cls", None)
        if isinstance(kind, type) and type(backbone) is kind:
            return "which reads from left to right"
    return None


def _sequence_output(output: Tensor | Mapping[str, Tensor]) -> Tensor:
    """The sequence output of a backbone, which may have other outputs."""
    if isinstance(output, Mapping):
        return output.get("sequence_output", next(iter(output.values())))
    return output


@keras.saving.register_keras_serializable(package="keras_qa")
class MeanPooling(kernels.Layer):
    """The mean of vectors `(batch, time, features)` where a mask `(batch, time)` is 1, in float32.

    The pooling of Sentence-BERT (Reimers & Gurevych 2019, arXiv:1908.10084).
    """

    ignores_padding = True

    def call(self, inputs: Sequence[Tensor]) -> Tensor:
        vectors, mask = inputs
        return mean_over_time(vectors, mask)

    def compute_output_shape(self, input_shape: Sequence[Shape]) -> Shape:
        return (input_shape[0][0], input_shape[0][-1])
