"""Self-attention of published encoders: plain, rotary, disentangled."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Unpack

import keras
import numpy as np
from keras import ops

from keras_qa import kernels
from keras_qa._arguments import check_positive_integers
from keras_qa.kernels.tensor_types import Shape, Tensor
from keras_qa.layers.composite import Composite
from keras_qa.layers.dense import Dense
from keras_qa.layers.dropout import Dropout
from keras_qa.layers.options import DType, LayerOptions

TERMS = ("c2p", "p2c")

# Of BERT's first weights.
STDDEV = 0.02


@keras.saving.register_keras_serializable(package="keras_qa")
class SelfAttention(Composite):
    """Attention of every position to every other (Vaswani et al. 2017, arXiv:1706.03762).

    Args:
        num_heads: Number of heads.
        hidden_dim: Width of the inputs, shared out among the heads.
        dropout: Fraction of the attention weights dropped in training.
        use_bias: Whether projections have a bias.
        wavelength: Longest wavelength of rotary positions (Su et al. 2021,
            arXiv:2104.09864). `None` for no such positions.
        terms: Terms of disentangled attention (He et al. 2021,
            arXiv:2006.03654): `"c2p"`, `"p2c"`. Those have one table of
            distances, which is projected as the positions are.
        **kwargs: `name`, `dtype` and `trainable`, as in `keras.layers.Layer`.

    Call arguments:
        inputs: `(batch, time, features)`.
        bias: Added to the scores: `(batch, heads, time, time)`, any of the first three 1.
        distances: For `terms`, the table, `(distances, features)`, and the row of it for each pair
            of a position that attends and one that is attended to, `(time, time)`.
        training: Whether `dropout` applies.

    Output shape: as `inputs`.
    """

    def __init__(
        self,
        num_heads: int,
        hidden_dim: int,
        dropout: float = 0.0,
        use_bias: bool = True,
        wavelength: float | None = None,
        terms: Sequence[str] = (),
        **kwargs: Unpack[LayerOptions],
    ) -> None:
        super().__init__(**kwargs)
        check_positive_integers(num_heads=num_heads, hidden_dim=hidden_dim)
        self.num_heads = int(num_heads)
        self.hidden_dim = int(hidden_dim)
        self.dropout = dropout
        self.use_bias = use_bias
        self.wavelength = wavelength
        self.terms = tuple(terms)
        self.drop = Dropout(dropout, dtype=self.dtype_policy, name="drop")
        # One product in place of three.
        self.projection, self.output_projection = (
            dense(units, name, use_bias, self.dtype_policy)
            for units, name in (
                (3 * self.hidden_dim, "projection"),
                (self.hidden_dim, "output_projection"),
            )
        )

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
        query, key, value = self._heads(inputs)
        if self.wavelength is not None:
            query, key = rotate(query, self.wavelength), rotate(key, self.wavelength)
        scale = (query.shape[-1] * (1 + len(self.terms))) ** -0.5
        if self.terms:
            assert distances is not None
            bias = bias + ops.cast(scale * self._of_distances(query, key, *distances), bias.dtype)
        drop = self._dropped if training and self.dropout else None
        found = kernels.attention(query, key, value, bias, scale, drop)
        return self.output_projection(kernels.merge_heads(found))

    def _dropped(self, weights: Tensor) -> Tensor:
        return self.drop(weights, training=True)

    def _heads(self, inputs: Tensor) -> Sequence[Tensor]:
        """Queries, keys and values, `(batch, heads, time, features of one)` each."""
        return kernels.split_heads(self.projection(inputs), self.num_heads)

    def _of_distances(self, query: Tensor, key: Tensor, table: Tensor, rows: Tensor) -> Tensor:
        query_of, key_of, _ = self._heads(ops.expand_dims(table, 0))
        batch, _, time, _ = ops.shape(query)
        shape = (batch, self.num_heads, time, time)
        found: Any = 0.0
        if "c2p" in self.terms:
            scores = ops.einsum("bhqd,hrd->bhqr", query, key_of[0])
            found = ops.take_along_axis(scores, ops.broadcast_to(rows, shape), axis=-1)
        if "p2c" in self.terms:
            scores = ops.einsum("bhkd,hrd->bhkr", key, query_of[0])
            turned = ops.broadcast_to(ops.transpose(rows), shape)
            scores = ops.take_along_axis(scores, turned, axis=-1)
            found = found + ops.swapaxes(scores, 2, 3)
        return found

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "num_heads": self.num_heads,
            "hidden_dim": self.hidden_dim,
            "dropout": self.dropout,
            "use_bias": self.use_bias,
            "wavelength": self.wavelength,
            "terms": list(self.terms),
        }


def dense(
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


def rotate(inputs: Tensor, wavelength: float) -> Tensor:
    """Turns the two halves of each head's features by their position.

    Args:
        inputs: `(batch, heads, time, features)`.
        wavelength: The longest wavelength, over 2π.

    Returns:
        As `inputs`.
    """
    size = inputs.shape[-1]
    rates = (wavelength ** (-np.arange(0, size, 2, dtype="float32") / size)).astype("float32")
    places = ops.cast(ops.arange(ops.shape(inputs)[2]), "float32")
    angles = places[:, None] * ops.convert_to_tensor(rates)
    sine, cosine = ops.sin(angles), ops.cos(angles)
    left, right = ops.split(ops.cast(inputs, "float32"), 2, axis=-1)
    turned = [left * cosine - right * sine, right * cosine + left * sine]
    return ops.cast(ops.concatenate(turned, axis=-1), inputs.dtype)


def t5_buckets(distances: np.ndarray, num_buckets: int, furthest: int = 128) -> np.ndarray:
    """Buckets of Raffel et al. 2020 (arXiv:1910.10683): half of them for each direction.

    Args:
        distances: Integers: how far to the right what is attended to stands.
        num_buckets: Number of buckets.
        furthest: Distances from here on share the last one.

    Returns:
        int32, of the shape of `distances`.
    """
    half = num_buckets // 2
    exact = half // 2
    size = np.abs(distances)
    steps = np.log(np.maximum(size, 1) / exact) / np.log(furthest / exact) * (half - exact)
    far = np.minimum(exact + steps.astype("int32"), half - 1)
    return np.where(distances > 0, half, 0) + np.where(size < exact, size, far).astype("int32")


def log_buckets(distances: np.ndarray, num_buckets: int, furthest: int) -> np.ndarray:
    """Signed buckets of He et al. 2021: near distances have one each, farther ones share them.

    Args:
        distances: Integers.
        num_buckets: Number of buckets of each direction.
        furthest: The longest distance.

    Returns:
        int32, of the shape of `distances`.
    """
    middle = num_buckets // 2
    far = np.where(np.abs(distances) < middle, middle - 1, np.abs(distances))
    steps = np.log(far / middle) / np.log((furthest - 1) / middle) * (middle - 1)
    shared = (np.ceil(steps) + middle) * np.sign(distances)
    return np.where(far <= middle, distances, shared).astype("int32")
