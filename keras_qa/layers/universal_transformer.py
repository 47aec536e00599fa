"""Universal transformers: one transformer block applied several times."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Unpack

import keras
from keras import ops

from keras_qa._arguments import to_integer
from keras_qa.layers import kernels
from keras_qa.layers.base_layer import BaseLayer, LayerOptions
from keras_qa.layers.keras_layers import Dense, Dropout, LayerNormalization
from keras_qa.layers.kernels.masking import mask_of, zero_masked
from keras_qa.layers.kernels.tensor_types import Masks, Shape, Tensor
from keras_qa.layers.order import TemporalEncoding
from keras_qa.layers.transformer_block import flatten_rows, merge_heads, split_heads


@keras.saving.register_keras_serializable(package="keras_qa")
class UniversalTransformerEncoder(BaseLayer):
    """Encodes a query and the sentences of a text together, by one block applied several times.

    The encoder of Dehghani et al. 2019 (arXiv:1807.03819). Each step adds the embeddings of
    position and step, then applies multi-head self-attention and two dense layers with residual
    connections. The weights are the same in every step. Differences from the paper:

    - Layer normalisation comes before attention and dense layers, and after the last step.
    - Positions are counted backwards from the last sentence, see `TemporalEncoding`. The query has
      an embedding of its own.
    - The attention between sentences has a learned bias for each head: a logarithm of the distance
      and a constant, for earlier and for later sentences (Chi et al. 2022, arXiv:2205.09921).

    Padding is never attended to.

    Args:
        num_steps: Number of steps.
        num_heads: Number of heads of the attention.
        hidden_dim: Width of the hidden dense layer.
        dropout: Fraction of the outputs of attention and dense layers dropped in training.
        max_positions: Number of positions with an embedding of their own;
            older ones share the last one.
        return_attention: Whether to return the attention weights, too.
        **kwargs: `name`, `dtype` and `trainable`, as in `keras.layers.Layer`.

    Call arguments:
        inputs: The query, `(batch, features)`, and the sentences, `(batch, sentences, features)`.
        mask: A list of two masks; the second one, `(batch, sentences)`, is used.
        training: Whether `dropout` applies.

    Returns:
        The state of the query, `(batch, features)`, and those of the sentences,
        `(batch, sentences, features)`. With `return_attention` also the attention weights of the
        query in each step, `(batch, num_steps, sentences)`, averaged over the heads, and the
        attention rollout of the query (Abnar & Zuidema 2020, arXiv:2005.00928),
        `(batch, sentences)`, which sums to 1, or is all zeros for an empty text.

    Examples:
        >>> import numpy as np
        >>> from keras_qa.layers import UniversalTransformerEncoder
        >>> encoder = UniversalTransformerEncoder(num_steps=2, num_heads=2, hidden_dim=16)
        >>> query, sentences = encoder([np.ones((2, 8)), np.ones((2, 5, 8))])
        >>> tuple(query.shape), tuple(sentences.shape)
        ((2, 8), (2, 5, 8))
    """

    ignores_padding = True

    def __init__(
        self,
        num_steps: int = 4,
        num_heads: int = 4,
        hidden_dim: int = 256,
        dropout: float = 0.0,
        max_positions: int = 64,
        return_attention: bool = False,
        **kwargs: Unpack[LayerOptions],
    ) -> None:
        super().__init__(**kwargs)
        self.num_steps = to_integer("num_steps", num_steps)
        self.num_heads = to_integer("num_heads", num_heads)
        self.hidden_dim = to_integer("hidden_dim", hidden_dim)
        self.dropout = dropout
        self.max_positions = to_integer("max_positions", max_positions)
        self.return_attention = return_attention
        policy = self.dtype_policy
        self.positions = TemporalEncoding(self.max_positions, dtype=policy, name="positions")
        self.attention_norm, self.transition_norm, self.output_norm = (
            LayerNormalization(epsilon=1e-6, dtype=policy, name=name)
            for name in ("attention_norm", "transition_norm", "output_norm")
        )
        self.drop = Dropout(dropout, dtype=policy, name="drop")
        self.hidden = Dense(self.hidden_dim, activation="relu", dtype=policy, name="hidden")

    def build(self, input_shape: Sequence[Shape]) -> None:
        dim: Any = input_shape[0][-1]
        if dim % self.num_heads:
            raise ValueError(
                f"`num_heads` must divide the number of features, which is {dim}. "
                f"Received: num_heads={self.num_heads}."
            )
        policy = self.dtype_policy
        # One projection for queries, keys and values.
        self.projection = Dense(
            3 * dim, kernel_initializer=_equal_queries_and_keys, dtype=policy, name="projection"
        )
        self.mixing = Dense(dim, dtype=policy, name="mixing")
        self.output_layer = Dense(dim, dtype=policy, name="output_layer")
        for layer in (
            self.positions,
            self.attention_norm,
            self.projection,
            self.mixing,
            self.transition_norm,
            self.output_norm,
            self.hidden,
        ):
            layer.build((None, None, dim))
        self.output_layer.build((None, None, self.hidden_dim))
        scale = keras.initializers.RandomNormal(stddev=0.3)
        self.query_signal = self.add_weight(shape=(dim,), initializer=scale, name="query_signal")
        self.step_signals = self.add_weight(
            shape=(self.num_steps, dim), initializer=scale, name="step_signals"
        )
        self.distances = self.add_weight(
            shape=(4, self.num_heads), initializer="zeros", name="distances"
        )
        self.built = True

    def call(
        self, inputs: Sequence[Tensor], mask: Masks = None, training: bool | None = None
    ) -> tuple[Tensor, ...]:
        query, sentences = inputs
        sentence_mask = mask_of(mask, 1)
        if sentence_mask is None:
            sentence_mask = ops.ones_like(sentences[..., 0], "bool")
        present = ops.concatenate([ops.ones_like(sentence_mask[:, :1]), sentence_mask], axis=1)
        ages = self.positions.ages(sentences, sentence_mask)
        times = self.positions.vectors(ages, sentence_mask)
        own = ops.cast(self.query_signal, self.compute_dtype)
        own = ops.broadcast_to(own, (ops.shape(query)[0], 1, own.shape[-1]))
        signals = ops.concatenate([own, times], axis=1)
        state = ops.concatenate([query[:, None], sentences], axis=1)
        bias = self._bias(ages, present)
        state, maps = self._steps(state, signals, bias, training)
        state = self.output_norm(state)
        states = zero_masked(state[:, 1:], sentence_mask)
        if not self.return_attention:
            return state[:, 0], states
        by_step = ops.transpose(maps[:, :, 0, 1:], (1, 0, 2))
        return state[:, 0], states, by_step, _rollout(maps, present)

    def _bias(self, ages: Tensor, present: Tensor) -> Tensor:
        ages = ops.cast(ages, "float32")
        # Positive if the key is earlier than the query.
        earlier = ages[:, None, :] - ages[:, :, None]
        past, future = ops.maximum(earlier, 0.0), ops.maximum(-earlier, 0.0)
        features = ops.stack(
            [ops.log1p(past), ops.log1p(future), ops.sign(past), ops.sign(future)], axis=-1
        )
        bias = ops.matmul(features, ops.cast(self.distances, "float32"))
        bias = ops.pad(ops.transpose(bias, (0, 3, 1, 2)), ((0, 0), (0, 0), (1, 0), (1, 0)))
        # Not minus infinity, which could become NaN.
        return bias + ops.where(present, 0.0, -1e9)[:, None, None, :]

    def _steps(
        self, state: Tensor, signals: Tensor, bias: Tensor, training: bool | None
    ) -> tuple[Tensor, Any]:
        def draw() -> Tensor | None:
            if not training or not self.dropout:
                return None
            return self.drop(ops.ones((2, *ops.shape(state)), state.dtype), training=True)

        def step(old: Tensor, signal: Tensor, kept: Tensor | None) -> tuple[Tensor, Tensor | None]:
            return self._block(old + signals + signal, bias, kept)

        return kernels.scan(step, state, ops.cast(self.step_signals, self.compute_dtype), draw)

    def _block(
        self, state: Tensor, bias: Tensor, kept: Tensor | None
    ) -> tuple[Tensor, Tensor | None]:
        mixed, weights = self._attend(self.attention_norm(state), bias)
        state = state + (mixed if kept is None else mixed * kept[0])
        added = self.output_layer(self.hidden(flatten_rows(self.transition_norm(state))))
        added = ops.reshape(added, ops.shape(state))
        return state + (added if kept is None else added * kept[1]), weights

    def _attend(self, state: Tensor, bias: Tensor) -> tuple[Tensor, Tensor | None]:
        count, dim = ops.shape(state)[1], state.shape[-1]
        head_dim = dim // self.num_heads
        projected = ops.reshape(self.projection(flatten_rows(state)), (-1, count, 3 * dim))
        queries, keys, values = split_heads(projected, self.num_heads)
        products = ops.matmul(queries, ops.transpose(keys, (0, 1, 3, 2)))
        weights = ops.softmax(ops.cast(products, "float32") * head_dim**-0.5 + bias, axis=-1)
        mixed = ops.matmul(ops.cast(weights, values.dtype), values)
        mixed = self.mixing(flatten_rows(merge_heads(mixed)))
        mixed = ops.reshape(mixed, (-1, count, dim))
        return mixed, ops.mean(weights, axis=1) if self.return_attention else None

    def compute_mask(self, inputs: Sequence[Tensor], mask: Masks = None) -> list[Tensor | None]:
        return [None, mask_of(mask, 1)] + ([None, None] if self.return_attention else [])

    def compute_output_spec(
        self, inputs: Sequence[keras.KerasTensor], mask: Masks = None, training: bool | None = None
    ) -> tuple[keras.KerasTensor, ...]:
        batch, sentences, dim = inputs[1].shape
        states = (
            keras.KerasTensor((batch, dim), self.compute_dtype),
            keras.KerasTensor((batch, sentences, dim), self.compute_dtype),
        )
        if not self.return_attention:
            return states
        by_step = keras.KerasTensor((batch, self.num_steps, sentences), "float32")
        return *states, by_step, keras.KerasTensor((batch, sentences), "float32")


def _equal_queries_and_keys(shape: tuple[int, int], dtype: str | None = None) -> Tensor:
    """Equal initial projections of queries and keys: similar states attend to each other."""
    kernel = keras.initializers.GlorotUniform()(shape, dtype)
    keys, values = kernel[:, : shape[0]], kernel[:, 2 * shape[0] :]
    return ops.concatenate([keys, keys, values], axis=1)


def _rollout(maps: Tensor, present: Tensor) -> Tensor:
    """Attention rollout of the first position over the others."""
    share = ops.cast(ops.arange(ops.shape(present)[1]) == 0, "float32")
    share = ops.zeros_like(maps[0, :, :1]) + share
    for step in reversed(range(maps.shape[0])):
        share = 0.5 * (share + ops.matmul(share, maps[step]))
    sentences = share[:, 0, 1:]
    total = ops.sum(sentences, axis=-1, keepdims=True)
    return sentences / ops.maximum(total, 1e-12)
