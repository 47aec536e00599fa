"""The order of sentences: their positions, and references to the previous sentence."""

from __future__ import annotations

from typing import Any, Unpack

import keras
import numpy as np
from keras import ops

from keras_qa._arguments import to_integer
from keras_qa.layers.base_layer import BaseLayer, LayerOptions
from keras_qa.layers.keras_layers import Dense
from keras_qa.layers.kernels.masking import zero_masked
from keras_qa.layers.kernels.tensor_types import Shape, Tensor


@keras.saving.register_keras_serializable(package="keras_qa")
class TemporalEncoding(BaseLayer):
    """Adds a learned position vector to each sentence, counted from the end of the text.

    Positions are counted backwards from the last sentence that is not padding. Padding and the
    length of the text then do not change the vectors of the last sentences (Sukhbaatar et al. 2015,
    arXiv:1503.08895, section 4.1). The vectors are initialized with sines and cosines (Vaswani et
    al. 2017, arXiv:1706.03762, section 3.5). Sentences before the last `max_sentences` share one
    vector.

    In training, an empty position is before each sentence with the probability `noise`, which
    reduces overfitting to positions (0.1 in the paper). Inputs and outputs are `(batch, sentences,
    features)`; padding does not change.
    """

    ignores_padding = True

    def __init__(
        self, max_sentences: int = 64, noise: float = 0.0, **kwargs: Unpack[LayerOptions]
    ) -> None:
        super().__init__(**kwargs)
        if not 0 <= noise < 1:
            raise ValueError(f"`noise` must be at least 0 and below 1. Received: noise={noise!r}.")
        self.max_sentences = to_integer("max_sentences", max_sentences)
        self.noise = noise
        self.supports_masking = True
        self.seed_generator = keras.random.SeedGenerator() if noise else None

    def build(self, input_shape: Shape) -> None:
        self.places = self.add_weight(
            shape=(self.max_sentences, input_shape[-1]),
            initializer=_sinusoids,
            name="places",
        )
        self.built = True

    def call(
        self, inputs: Tensor, mask: Tensor | None = None, training: bool | None = None
    ) -> Tensor:
        return inputs + self.vectors(self.ages(inputs, mask, training), mask)

    def ages(
        self, inputs: Tensor, mask: Tensor | None = None, training: bool | None = None
    ) -> Tensor:
        """Number of positions after each sentence, `(batch, sentences)`, empty ones included."""
        present = (
            ops.ones_like(inputs[..., 0], "int32") if mask is None else ops.cast(mask, "int32")
        )
        places = present
        if training and self.seed_generator is not None:
            draws = keras.random.uniform(ops.shape(present), seed=self.seed_generator)
            places = present * (1 + ops.cast(draws < self.noise, "int32"))
        total = ops.sum(places, axis=1, keepdims=True)
        return total - ops.cumsum(places, axis=1)

    def vectors(self, ages: Tensor, mask: Tensor | None = None) -> Tensor:
        """Position vectors for these ages, `(batch, sentences, features)`."""
        ages = ops.clip(ages, 0, self.max_sentences - 1)
        vectors = ops.take(ops.cast(self.places, self.compute_dtype), ages, axis=0)
        return zero_masked(vectors, mask)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return input_shape


@keras.saving.register_keras_serializable(package="keras_qa")
class PreviousSentence(BaseLayer):
    """Adds a gated projection of the previous sentence to each sentence.

    The sentence itself computes the gate, which is initialized almost closed, since most sentences
    do not depend on the previous one. It resolves references such as pronouns (bAbI's tasks 11 and
    13). Inputs and outputs are `(batch, sentences, features)`. Padding does not change.
    """

    ignores_padding = True

    def __init__(self, **kwargs: Unpack[LayerOptions]) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True

    def build(self, input_shape: Shape) -> None:
        features: Any = input_shape[-1]
        policy = self.dtype_policy
        self.projection = Dense(features, use_bias=False, dtype=policy, name="projection")
        self.gate = Dense(
            1,
            activation="sigmoid",
            bias_initializer=keras.initializers.Constant(-2.0),
            dtype=policy,
            name="gate",
        )
        for layer in (self.projection, self.gate):
            layer.build((None, None, features))
        self.built = True

    def call(self, inputs: Tensor, mask: Tensor | None = None) -> Tensor:
        before = ops.pad(self.projection(inputs), ((0, 0), (1, 0), (0, 0)))[:, :-1]
        added = self.gate(inputs) * before
        if mask is not None:
            both = ops.logical_and(mask, ops.pad(mask, ((0, 0), (1, 0)))[:, :-1])
            added = zero_masked(added, both)
        return inputs + added

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return input_shape


def _sinusoids(shape: tuple[int, int], dtype: str | None = None) -> Tensor:
    places, features = shape
    half = (features + 1) // 2
    rates = 100.0 ** -(np.arange(half) / max(half - 1, 1))
    angles = np.arange(places)[:, None] * rates
    # Sine and cosine of each rate are adjacent. The scale is similar to that of sentence vectors.
    waves = 0.42 * np.stack([np.sin(angles), np.cos(angles)], axis=2).reshape(places, 2 * half)
    return ops.convert_to_tensor(waves[:, :features], dtype=dtype)
