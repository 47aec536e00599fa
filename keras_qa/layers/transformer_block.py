"""A block of an encoder as BERT and its kin have it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Unpack

import keras
from keras import ops

from keras_qa import kernels
from keras_qa.kernels.tensor_types import Shape, Tensor
from keras_qa.layers.composite import Composite
from keras_qa.layers.dense import LayerNormalization
from keras_qa.layers.dropout import Dropout
from keras_qa.layers.options import DType, LayerOptions
from keras_qa.layers.self_attention import SelfAttention, dense


@keras.saving.register_keras_serializable(package="keras_qa")
class TransformerBlock(Composite):
    """Self-attention and two dense layers, each added to what it reads.

    Args:
        num_heads: As in `TransformerEncoder`, and so are those that follow.
        hidden_dim: As there.
        intermediate_dim: As there.
        activation: As there.
        dropout: As there.
        attention_dropout: As there.
        layer_norm_epsilon: As there.
        modern: As there.
        normalizes: Whether what the attention reads is normalised, where it is `modern`.
        wavelength: As in `SelfAttention`.
        terms: As there.
        **kwargs: `name`, `dtype` and `trainable`, as in `keras.layers.Layer`.

    Call arguments: as `SelfAttention`.

    Output shape: as the inputs.
    """

    def __init__(
        self,
        num_heads: int,
        hidden_dim: int,
        intermediate_dim: int,
        activation: str = "gelu",
        dropout: float = 0.0,
        attention_dropout: float = 0.0,
        layer_norm_epsilon: float = 1e-12,
        modern: bool = False,
        normalizes: bool = True,
        wavelength: float | None = None,
        terms: Sequence[str] = (),
        **kwargs: Unpack[LayerOptions],
    ) -> None:
        super().__init__(**kwargs)
        self.num_heads = num_heads
        self.hidden_dim = hidden_dim
        self.intermediate_dim = intermediate_dim
        self.activation = activation
        self.dropout = dropout
        self.attention_dropout = attention_dropout
        self.layer_norm_epsilon = layer_norm_epsilon
        self.modern = modern
        self.normalizes = normalizes
        self.wavelength = wavelength
        self.terms = tuple(terms)
        policy = self.dtype_policy
        self.activate = activation_of(activation)
        self.attention = SelfAttention(
            num_heads,
            hidden_dim,
            attention_dropout,
            not modern,
            wavelength,
            terms,
            dtype=policy,
            name="attention",
        )
        self.attention_norm = (
            norm("attention_norm", layer_norm_epsilon, modern, policy)
            if normalizes or not modern
            else None
        )
        self.hidden = (
            dense(2 * intermediate_dim, "hidden", False, policy)
            if modern
            else dense(intermediate_dim, "hidden", True, policy, self.activate)
        )
        self.output_dense = dense(hidden_dim, "output_dense", not modern, policy)
        self.output_norm = norm("output_norm", layer_norm_epsilon, modern, policy)
        self.drop = Dropout(dropout, dtype=policy, name="drop")

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
        if self.modern:
            hidden, gate = ops.split(hidden, 2, axis=-1)
            hidden = self.activate(hidden) * gate
        found = self.output_dense(hidden)
        found = self.drop(found, training=training)
        return self._after(self.output_norm, state + found)

    def _before(self, layer: Any, state: Tensor) -> Tensor:
        return layer(state) if self.modern and layer is not None else state

    def _after(self, layer: Any, state: Tensor) -> Tensor:
        return state if self.modern else layer(state)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "num_heads": self.num_heads,
            "hidden_dim": self.hidden_dim,
            "intermediate_dim": self.intermediate_dim,
            "activation": self.activation,
            "dropout": self.dropout,
            "attention_dropout": self.attention_dropout,
            "layer_norm_epsilon": self.layer_norm_epsilon,
            "modern": self.modern,
            "normalizes": self.normalizes,
            "wavelength": self.wavelength,
            "terms": list(self.terms),
        }


def norm(name: str, epsilon: float, modern: bool, policy: DType) -> keras.layers.Layer:
    return LayerNormalization(epsilon=epsilon, center=not modern, dtype=policy, name=name)


def activation_of(name: str) -> Callable[[Tensor], Tensor]:
    """The activation of a name: Keras', and `gelu_tanh`."""
    return {"gelu": gelu, "gelu_tanh": gelu_tanh}.get(name) or keras.activations.get(name)


@keras.saving.register_keras_serializable(package="keras_qa")
def gelu(inputs: Tensor) -> Tensor:
    """GELU as `keras.activations.gelu` without approximation."""
    return kernels.gelu(inputs)


@keras.saving.register_keras_serializable(package="keras_qa")
def gelu_tanh(inputs: Tensor) -> Tensor:
    """GELU by a hyperbolic tangent, see `keras.activations.gelu`."""
    return keras.activations.gelu(inputs, approximate=True)
