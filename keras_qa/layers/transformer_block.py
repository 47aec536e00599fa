"""One block of an encoder such as BERT or ModernBERT."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Unpack

import keras
from keras import ops

from keras_qa import kernels
from keras_qa.kernels.tensor_types import Shape, Tensor
from keras_qa.layers.composite import Composite, DType, LayerOptions
from keras_qa.layers.keras_layers import Dropout, LayerNormalization
from keras_qa.layers.self_attention import SelfAttention, make_dense


@keras.saving.register_keras_serializable(package="keras_qa")
class TransformerBlock(Composite):
    """Self-attention and two dense layers, each with a residual connection.

    The arguments are those of `TransformerEncoder` and of `SelfAttention`, and one more.

    Args:
        normalize_attention: Whether the input of the attention is normalised. For `pre_norm`.

    Call arguments: those of `SelfAttention`.

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
        pre_norm: bool = False,
        gated: bool = False,
        use_bias: bool = True,
        normalize_attention: bool = True,
        max_wavelength: float | None = None,
        relative_terms: Sequence[str] = (),
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
        self.pre_norm = pre_norm
        self.gated = gated
        self.use_bias = use_bias
        self.normalize_attention = normalize_attention
        self.max_wavelength = max_wavelength
        self.relative_terms = tuple(relative_terms)
        policy = self.dtype_policy
        self.activate = get_activation(activation)
        self.attention = SelfAttention(
            num_heads,
            hidden_dim,
            attention_dropout,
            use_bias,
            max_wavelength,
            relative_terms,
            dtype=policy,
            name="attention",
        )
        self.attention_norm = (
            make_norm("attention_norm", layer_norm_epsilon, use_bias, policy)
            if normalize_attention or not pre_norm
            else None
        )
        self.hidden = (
            make_dense(2 * intermediate_dim, "hidden", use_bias, policy)
            if gated
            else make_dense(intermediate_dim, "hidden", use_bias, policy, self.activate)
        )
        self.output_dense = make_dense(hidden_dim, "output_dense", use_bias, policy)
        self.output_norm = make_norm("output_norm", layer_norm_epsilon, use_bias, policy)
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
            "pre_norm": self.pre_norm,
            "gated": self.gated,
            "use_bias": self.use_bias,
            "normalize_attention": self.normalize_attention,
            "max_wavelength": self.max_wavelength,
            "relative_terms": list(self.relative_terms),
        }


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
