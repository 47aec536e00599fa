"""Recurrent encoders: a sequence of word ids in, one vector out."""

from __future__ import annotations

from typing import Any, Unpack

import keras
from keras import ops

from keras_qa._arguments import check_choice, to_integer
from keras_qa.layers.base_layer import BaseLayer, LayerOptions, UnnamedOptions
from keras_qa.layers.keras_layers import Dropout, Embedding
from keras_qa.layers.kernels.masking import max_over_time, mean_over_time
from keras_qa.layers.kernels.tensor_types import Shape, Tensor
from keras_qa.layers.recurrent import GRU, LSTM

CELLS: dict[str, type[LSTM] | type[GRU]] = {"lstm": LSTM, "gru": GRU}
POOLINGS = ("last", "mean", "max")


@keras.saving.register_keras_serializable(package="keras_qa")
class SequenceEncoder(BaseLayer):
    """Encodes a sequence of word ids into one vector.

    An embedding followed by a recurrent layer (Hochreiter & Schmidhuber 1997 for `"lstm"`, Cho et
    al. 2014 for `"gru"`) and a pooling over time. Id 0 is padding: it is masked and never changes
    the result. A row of padding only gives a vector of zeros.

    Args:
        vocabulary_size: Number of ids; ids run from 0 to `vocabulary_size - 1`.
        embedding_dim: Width of a word vector.
        units: Width of the recurrent state.
        cell: `"lstm"` or `"gru"`.
        bidirectional: Whether to read in both directions. Doubles the output width.
        pooling: `"last"` takes the last state, `"mean"` and `"max"` pool the states of all words.
        dropout: Fraction of the word vectors' entries dropped in training.
        fused: As in `LSTM`. `False` for Keras' loop, which supports gradients of higher order and
            forward-mode gradients.
        **kwargs: `name`, `dtype` and `trainable`, as in `keras.layers.Layer`.

    Input shape: `(batch, time)`, integers.

    Output shape: `(batch, units)`, or `(batch, 2 * units)` if bidirectional.

    Examples:
        >>> import numpy as np
        >>> from keras_qa.layers import SequenceEncoder
        >>> encoder = SequenceEncoder(100, embedding_dim=8, units=4, cell="gru")
        >>> tuple(encoder(np.array([[5, 7, 9, 0], [3, 0, 0, 0]])).shape)
        (2, 4)
    """

    def __init__(
        self,
        vocabulary_size: int,
        embedding_dim: int = 64,
        units: int = 32,
        cell: str = "lstm",
        bidirectional: bool = False,
        pooling: str = "last",
        dropout: float = 0.0,
        fused: str | bool = "auto",
        **kwargs: Unpack[LayerOptions],
    ) -> None:
        super().__init__(**kwargs)
        check_choice("cell", cell, CELLS)
        check_choice("pooling", pooling, POOLINGS)
        self.vocabulary_size = to_integer("vocabulary_size", vocabulary_size)
        self.embedding_dim = to_integer("embedding_dim", embedding_dim)
        self.units = to_integer("units", units)
        self.cell = cell
        self.bidirectional = bidirectional
        self.pooling = pooling
        self.dropout = dropout
        self.fused = fused
        policy = self.dtype_policy
        self.embedding = Embedding(
            self.vocabulary_size, self.embedding_dim, mask_zero=True, dtype=policy, name="embedding"
        )
        self.word_dropout = Dropout(dropout, dtype=policy, name="word_dropout")
        # Not `keras.layers.Bidirectional`: it copies the layer and deletes the original. Keras
        # identifies objects by `id` while it loads a file, and a new object may get the same one.
        options: Any = {"return_sequences": pooling != "last", "fused": fused, "dtype": policy}
        self.recurrent = CELLS[cell](self.units, name="recurrent", **options)
        self.backward = (
            CELLS[cell](self.units, go_backwards=True, name="backward", **options)
            if bidirectional
            else None
        )

    def build(self, input_shape: Shape) -> None:
        self.embedding.build(input_shape)
        self.recurrent.build((*input_shape, self.embedding_dim))
        if self.backward is not None:
            self.backward.build((*input_shape, self.embedding_dim))
        self.built = True

    def call(self, inputs: Tensor, training: bool | None = None) -> Tensor:
        mask = self.embedding.compute_mask(inputs)
        if mask is None:
            mask = ops.ones_like(inputs, "bool")
        words = self.embedding(inputs)
        if self.dropout:
            words = self.word_dropout(words, training=training)
        states = self.recurrent(words, mask=mask, training=training)
        if self.backward is not None:
            others = self.backward(words, mask=mask, training=training)
            # The backward layer returns its sequence in reversed order.
            others = ops.flip(others, axis=1) if self.pooling != "last" else others
            states = ops.concatenate([states, others], axis=-1)
        if self.pooling == "last":
            return states
        if self.pooling == "mean":
            return ops.cast(mean_over_time(states, mask), self.compute_dtype)
        return max_over_time(states, mask)

    @property
    def ignores_padding(self) -> bool:
        """Whether columns of padding at the end can be removed without changing the result."""
        return bool(self.embedding.mask_zero)

    @property
    def ends_early(self) -> bool:
        """Whether a compiled loop ends with the longest row of the batch."""
        return self.recurrent.fused is not False

    def compute_mask(self, inputs: Tensor, mask: Tensor | None = None) -> None:
        return None

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return (input_shape[0], self.units * (2 if self.bidirectional else 1))


class EncoderOptions(UnnamedOptions, total=False):
    """Further arguments of `SequenceEncoder`."""

    cell: str
    bidirectional: bool
    pooling: str
    dropout: float
    fused: str | bool


def text_encoder(
    vocabulary_size: int,
    embedding_dim: int = 64,
    units: int = 32,
    name: str = "text_encoder",
    **kwargs: Unpack[EncoderOptions],
) -> SequenceEncoder:
    """The text branch of the classic model: a 64-wide embedding, an LSTM of 32 units.

    The arguments are those of `SequenceEncoder`.

    Examples:
        >>> from keras_qa.layers import text_encoder
        >>> text_encoder(10_000).units
        32
    """
    return SequenceEncoder(vocabulary_size, embedding_dim, units, name=name, **kwargs)


def question_encoder(
    vocabulary_size: int,
    embedding_dim: int = 32,
    units: int = 16,
    name: str = "question_encoder",
    **kwargs: Unpack[EncoderOptions],
) -> SequenceEncoder:
    """The question branch of the classic model: a 32-wide embedding, an LSTM of 16 units.

    The arguments are those of `SequenceEncoder`.

    Examples:
        >>> from keras_qa.layers import question_encoder
        >>> question_encoder(10_000).embedding_dim
        32
    """
    return SequenceEncoder(vocabulary_size, embedding_dim, units, name=name, **kwargs)
