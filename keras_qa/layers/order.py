"""The order of sentences: when each was said, and what it takes up from the one before."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from keras_qa.layers.sizes import check_sizes


@keras.saving.register_keras_serializable(package="keras_qa")
class TemporalEncoding(keras.layers.Layer):
    """Adds to each sentence a learned vector that says how many sentences came after it.

    Sentences are counted backwards from the last one that is no padding, so that neither padding
    nor a longer story changes what the last ones get (Sukhbaatar et al. 2015, arXiv:1503.08895,
    section 4.1).

    Args:
        max_sentences: Number of places with a vector of their own; older
            sentences share the last one.
        noise: In training, the chance of an empty place before each sentence,
            which keeps the model from learning places by heart (section 4.2
            of the paper takes 0.1).
        **kwargs: `name`, `dtype` and `trainable`, as in `keras.layers.Layer`.

    Call arguments:
        inputs: `(batch, sentences, features)`.
        mask: `(batch, sentences)` boolean, which sentences are there. `None`
            for all.
        training: Whether `noise` applies.

    Output shape: as the input. Sentences that are not there stay as they are.

    Raises:
        ValueError: If an argument is out of its range.

    Example:

    >>> import numpy as np
    >>> from keras_qa.layers import TemporalEncoding
    >>> tuple(TemporalEncoding(50)(np.zeros((2, 3, 8), "float32")).shape)
    (2, 3, 8)
    """

    ignores_padding = True

    def __init__(self, max_sentences: int = 64, noise: float = 0.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        check_sizes(max_sentences=max_sentences)
        if not 0 <= noise < 1:
            raise ValueError(f"`noise` must be at least 0 and below 1. Received: noise={noise!r}.")
        self.max_sentences = int(max_sentences)
        self.noise = noise
        self.supports_masking = True
        self.seed_generator = keras.random.SeedGenerator() if noise else None

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        self.places = self.add_weight(
            shape=(self.max_sentences, input_shape[-1]),
            initializer=keras.initializers.RandomNormal(stddev=0.3),
            name="places",
        )
        self.built = True

    def call(self, inputs: Any, mask: Any = None, training: bool | None = None) -> Any:
        return inputs + self.vectors(inputs, mask, training)

    def vectors(self, inputs: Any, mask: Any = None, training: bool | None = None) -> Any:
        """What is added to the inputs, `(batch, sentences, features)`."""
        present = (
            ops.ones_like(inputs[..., 0], "int32") if mask is None else ops.cast(mask, "int32")
        )
        places = present
        if training and self.seed_generator is not None:
            draws = keras.random.uniform(ops.shape(present), seed=self.seed_generator)
            places = present * (1 + ops.cast(draws < self.noise, "int32"))
        total = ops.sum(places, axis=1, keepdims=True)
        age = ops.clip(total - ops.cumsum(places, axis=1), 0, self.max_sentences - 1)
        vectors = ops.take(ops.cast(self.places, self.compute_dtype), age, axis=0)
        return ops.where(ops.expand_dims(present, -1) > 0, vectors, ops.zeros_like(vectors))

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "max_sentences": self.max_sentences,
            "noise": self.noise,
        }


@keras.saving.register_keras_serializable(package="keras_qa")
class PreviousSentence(keras.layers.Layer):
    """Adds to each sentence what it takes up from the one before, such as who «they» are.

    A learned projection of the previous sentence's vector, times gates that the sentence itself
    opens. They start out almost closed: most sentences stand alone. (Without it, bAbI's tasks 11
    and 13 were learned by heart: one run each with 9,000 questions came to 12 % and 6 % error, and
    no further.)

    Args:
        num_gates: Number of gates, each for as many features as the others.
        **kwargs: `name`, `dtype` and `trainable`, as in `keras.layers.Layer`.

    Call arguments:
        inputs: `(batch, sentences, features)`.
        mask: `(batch, sentences)` boolean, which sentences are there. `None`
            for all. What is not there neither gives nor takes.

    Output shape: as the input.

    Raises:
        ValueError: If an argument is out of its range, or does not divide the features.

    Example:

    >>> import numpy as np
    >>> from keras_qa.layers import PreviousSentence
    >>> tuple(PreviousSentence()(np.ones((2, 5, 8))).shape)
    (2, 5, 8)
    """

    ignores_padding = True

    def __init__(self, num_gates: int = 1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        check_sizes(num_gates=num_gates)
        self.num_gates = int(num_gates)
        self.supports_masking = True

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        features: Any = input_shape[-1]
        if features % self.num_gates:
            raise ValueError(
                f"`num_gates` must divide the number of features, which is {features}. "
                f"Received: num_gates={self.num_gates}."
            )
        policy = self.dtype_policy
        self.projection = keras.layers.Dense(
            features, use_bias=False, dtype=policy, name="projection"
        )
        self.gate = keras.layers.Dense(
            self.num_gates,
            activation="sigmoid",
            bias_initializer=keras.initializers.Constant(-2.0),
            dtype=policy,
            name="gate",
        )
        for layer in (self.projection, self.gate):
            layer.build((None, None, features))
        self.built = True

    def call(self, inputs: Any, mask: Any = None) -> Any:
        before = ops.pad(self.projection(inputs), ((0, 0), (1, 0), (0, 0)))[:, :-1]
        gates = ops.repeat(self.gate(inputs), inputs.shape[-1] // self.num_gates, axis=-1)
        added = gates * before
        if mask is not None:
            both = ops.logical_and(mask, ops.pad(mask, ((0, 0), (1, 0)))[:, :-1])
            added = ops.where(ops.expand_dims(both, -1), added, ops.zeros_like(added))
        return inputs + added

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "num_gates": self.num_gates}
