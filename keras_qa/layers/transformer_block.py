"""One block of an encoder such as BERT or ModernBERT."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Unpack

import keras
from keras import ops

from keras_qa import kernels
from keras_qa.kernels.tensor_types import Shape, Tensor
from keras_qa.layers.composite import Composite, DType, LayerOptions
from keras_qa.layers.keras_layers import Dropout, LayerNormalization
from keras_qa.layers.self_attention import SelfAttention, make_dense


class TransformerBlock(Composite):
    """Self-attention and two dense layers, each with a residual connection.

    Args:
        settings: The arguments of `TransformerEncoder`.
        place: Index of the block.
        **kwargs: `name`, `dtype` and `trainable`, as in `keras.layers.Layer`.

    Call arguments: those of `SelfAttention`.

    Output shape: as the inputs.
    """

    def __init__(
        self, settings: Mapping[str, Any], place: int, **kwargs: Unpack[LayerOptions]
    ) -> None:
        super().__init__(**kwargs)
        epsilon, use_bias = settings["layer_norm_epsilon"], settings["use_bias"]
        self.intermediate_dim = settings["intermediate_dim"]
        self.pre_norm = settings["pre_norm"]
        self.gated = settings["gated"]
        policy = self.dtype_policy
        self.activate = get_activation(settings["activation"])
        self.attention = SelfAttention(settings, place, dtype=policy, name="attention")
        # The embeddings that the first block reads are normalised already.
        self.attention_norm = (
            make_norm("attention_norm", epsilon, use_bias, policy)
            if place or not self.pre_norm
            else None
        )
        self.hidden = (
            make_dense(2 * self.intermediate_dim, "hidden", use_bias, policy)
            if self.gated
            else make_dense(self.intermediate_dim, "hidden", use_bias, policy, self.activate)
        )
        self.output_dense = make_dense(settings["hidden_dim"], "output_dense", use_bias, policy)
        self.output_norm = make_norm("output_norm", epsilon, use_bias, policy)
        self.drop = Dropout(settings["dropout"], dtype=policy, name="drop")

    def build(self, input_shape: Shape) -> None:
        self.attention.build(input_shape)
        self.hidden.build(input_shape)
        self.output_dense.build((*input_shape[:-1], self.intermediate_dim))
        for layer in (self.attention_norm, self.output_norm):
            if layer is not None:
                layer.build(input_shape)
        self.built = True

    def call(
        self,
        inputs: Tensor,
        bias: Tensor,
        distances: tuple[Tensor, Tensor] | None = None,
        training: bool | None = None,
    ) -> Tensor:
        read = self._before(self.attention_norm, inputs)
        found = self.attention(read, bias, distances=distances, training=training)
        found = self.drop(found, training=training)
        state = self._after(self.attention_norm, inputs + found)
        hidden = self.hidden(self._before(self.output_norm, state))
        if self.gated:
            hidden, gate = ops.split(hidden, 2, axis=-1)
            hidden = self.activate(hidden) * gate
        found = self.output_dense(hidden)
        found = self.drop(found, training=training)
        return self._after(self.output_norm, state + found)

    def _before(self, layer: Any, state: Tensor) -> Tensor:
        return layer(state) if self.pre_norm and layer is not None else state

    def _after(self, layer: Any, state: Tensor) -> Tensor:
        return state if self.pre_norm else layer(state)


def make_norm(name: str, epsilon: float, use_bias: bool, policy: DType) -> keras.layers.Layer:
    return LayerNormalization(epsilon=epsilon, center=use_bias, dtype=policy, name=name)


def get_activation(name: str) -> Callable[[Tensor], Tensor]:
    """An activation of Keras by its name, or `gelu_tanh`."""
    return {"gelu": gelu, "gelu_tanh": gelu_tanh}.get(name) or keras.activations.get(name)


@keras.saving.register_keras_serializable(package="keras_qa")
def gelu(inputs: Tensor) -> Tensor:
    """`keras.activations.gelu` without approximation."""
    return kernels.gelu(inputs)


@keras.saving.register_keras_serializable(package="keras_qa")
def gelu_tanh(inputs: Tensor) -> Tensor:
    """`keras.activations.gelu` with its approximation by a tanh."""
    return keras.activations.gelu(inputs, approximate=True)
