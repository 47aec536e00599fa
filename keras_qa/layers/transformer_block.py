"""One block of an encoder such as BERT or ModernBERT, and its self-attention."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Unpack

import keras
import numpy as np
from keras import ops

from keras_qa.layers import kernels
from keras_qa.layers.base_layer import BaseLayer, DType, LayerOptions
from keras_qa.layers.keras_layers import Dense, Dropout, LayerNormalization
from keras_qa.layers.kernels.tensor_types import Shape, Tensor

# Content to position, position to content.
TERMS = ("c2p", "p2c")

# Standard deviation of BERT's initial weights.
STDDEV = 0.02


class TransformerBlock(BaseLayer):
    """Self-attention and two dense layers, each with a residual connection.

    `settings` are the arguments of `TransformerEncoder`. The call arguments are those of
    `SelfAttention`.
    """

    def __init__(
        self, settings: Mapping[str, Any], index: int, **kwargs: Unpack[LayerOptions]
    ) -> None:
        super().__init__(**kwargs)
        epsilon, use_bias = settings["layer_norm_epsilon"], settings["use_bias"]
        self.intermediate_dim = settings["intermediate_dim"]
        self.pre_norm = settings["pre_norm"]
        self.gated = settings["gated"]
        policy = self.dtype_policy
        self.activate = get_activation(settings["activation"])
        self.attention = SelfAttention(settings, index, dtype=policy, name="attention")
        # The embeddings that the first block reads are normalised already.
        self.attention_norm = (
            make_norm("attention_norm", epsilon, use_bias, policy)
            if index or not self.pre_norm
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
        attended = self.attention(read, bias, distances=distances, training=training)
        attended = self.drop(attended, training=training)
        state = self._after(self.attention_norm, inputs + attended)
        hidden = self.hidden(flatten_rows(self._before(self.output_norm, state)))
        if self.gated:
            hidden, gate = ops.split(hidden, 2, axis=-1)
            hidden = self.activate(hidden) * gate
        outputs = ops.reshape(self.output_dense(hidden), ops.shape(state))
        outputs = self.drop(outputs, training=training)
        return self._after(self.output_norm, state + outputs)

    def _before(self, layer: Any, state: Tensor) -> Tensor:
        return layer(state) if self.pre_norm and layer is not None else state

    def _after(self, layer: Any, state: Tensor) -> Tensor:
        return state if self.pre_norm else layer(state)


class SelfAttention(BaseLayer):
    """Attention of every position to every other (Vaswani et al. 2017, arXiv:1706.03762).

    With `wavelengths` it rotates queries and keys (Su et al. 2021, arXiv:2104.09864). For
    disentangled attention it adds products with embeddings of relative positions to the scores (He
    et al. 2021, arXiv:2006.03654): of the query with the position of the key (`"c2p"`), and of the
    key with the position of the query (`"p2c"`). `distances` has these embeddings, `(distances,
    features)`, which share the projection of the inputs, and the row for each pair of query and
    key, `(time, time)`.

    `bias` is added to the scores, `(batch, heads, time, time)`, any of the first three 1.
    """

    def __init__(
        self, settings: Mapping[str, Any], index: int, **kwargs: Unpack[LayerOptions]
    ) -> None:
        super().__init__(**kwargs)
        self.num_heads = int(settings["num_heads"])
        self.dropout = settings["attention_dropout"]
        self.max_wavelength = settings["wavelengths"][index] if settings["wavelengths"] else None
        is_disentangled = settings["relative_positions"] == "disentangled"
        self.relative_terms = tuple(settings["relative_terms"]) if is_disentangled else ()
        self.drop = Dropout(self.dropout, dtype=self.dtype_policy, name="drop")
        width = int(settings["hidden_dim"])
        # One projection for queries, keys and values.
        use_bias, policy = settings["use_bias"], self.dtype_policy
        self.projection = make_dense(3 * width, "projection", use_bias, policy)
        self.output_projection = make_dense(width, "output_projection", use_bias, policy)

    def build(self, input_shape: Shape) -> None:
        self.projection.build(input_shape)
        self.output_projection.build(input_shape)
        self.built = True

    def call(
        self,
        inputs: Tensor,
        bias: Tensor,
        distances: tuple[Tensor, Tensor] | None = None,
        training: bool | None = None,
    ) -> Tensor:
        query, key, value = split_heads(self.projection(inputs), self.num_heads)
        if self.max_wavelength is not None:
            query, key = rotate(query, self.max_wavelength), rotate(key, self.max_wavelength)
        scale = (query.shape[-1] * (1 + len(self.relative_terms))) ** -0.5
        if self.relative_terms:
            assert distances is not None
            relative = self._relative_scores(query, key, *distances)
            bias = bias + ops.cast(scale * relative, bias.dtype)
        drop = self._dropped if training and self.dropout else None
        attended = kernels.attention(query, key, value, bias, scale, drop)
        return self.output_projection(merge_heads(attended))

    def _dropped(self, weights: Tensor) -> Tensor:
        return self.drop(weights, training=True)

    def _relative_scores(self, query: Tensor, key: Tensor, table: Tensor, rows: Tensor) -> Tensor:
        projected = self.projection(ops.expand_dims(table, 0))
        query_of, key_of, _ = split_heads(projected, self.num_heads)
        batch, _, time, _ = ops.shape(query)
        shape = (batch, self.num_heads, time, time)
        total: Any = 0.0
        if "c2p" in self.relative_terms:
            scores = ops.einsum("bhqd,hrd->bhqr", query, key_of[0])
            total = ops.take_along_axis(scores, ops.broadcast_to(rows, shape), axis=-1)
        if "p2c" in self.relative_terms:
            scores = ops.einsum("bhkd,hrd->bhkr", key, query_of[0])
            turned = ops.broadcast_to(ops.transpose(rows), shape)
            scores = ops.take_along_axis(scores, turned, axis=-1)
            total = total + ops.swapaxes(scores, 2, 3)
        return total


def make_dense(
    units: int,
    name: str,
    use_bias: bool,
    policy: DType,
    activation: Callable[[Tensor], Tensor] | None = None,
) -> Dense:
    return Dense(
        units,
        activation,
        use_bias,
        keras.initializers.TruncatedNormal(stddev=STDDEV),
        dtype=policy,
        name=name,
    )


def flatten_rows(state: Tensor) -> Tensor:
    """Turns (..., D) into (rows, D), on which dense layers are faster.

    TensorFlow computes product, bias and GELU at once, and XLA takes half of the time for the
    gradient.
    """
    return ops.reshape(state, (-1, state.shape[-1]))


def split_heads(projected: Tensor, num_heads: int) -> Sequence[Tensor]:
    """Splits a joint projection (B, T, 3·H·D) into queries, keys and values, (B, H, T, D) each."""
    batch, time, width = ops.shape(projected)
    size = width // (3 * num_heads)
    joined = ops.reshape(projected, (batch, time, 3, num_heads, size))
    return ops.unstack(ops.transpose(joined, (2, 0, 3, 1, 4)), num=3)


def merge_heads(vectors: Tensor) -> Tensor:
    """Turns (B, H, T, D) into (B, T, H·D)."""
    batch, heads, time, size = ops.shape(vectors)
    return ops.reshape(ops.transpose(vectors, (0, 2, 1, 3)), (batch, time, heads * size))


def rotate(inputs: Tensor, max_wavelength: float) -> Tensor:
    """Applies rotary position embeddings to `(batch, heads, time, features)`."""
    size = inputs.shape[-1]
    rates = (max_wavelength ** (-np.arange(0, size, 2, dtype="float32") / size)).astype("float32")
    places = ops.cast(ops.arange(ops.shape(inputs)[2]), "float32")
    angles = places[:, None] * ops.convert_to_tensor(rates)
    sine, cosine = ops.sin(angles), ops.cos(angles)
    left, right = ops.split(ops.cast(inputs, "float32"), 2, axis=-1)
    turned = [left * cosine - right * sine, right * cosine + left * sine]
    return ops.cast(ops.concatenate(turned, axis=-1), inputs.dtype)


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
