"""`SentenceEncoder`: the word ids of each sentence in, one vector for each sentence out."""

from __future__ import annotations

from typing import Unpack

import keras
from keras import ops

from keras_qa._arguments import check_choice, to_integer
from keras_qa.layers.base_layer import BaseLayer, LayerOptions
from keras_qa.layers.keras_layers import Dropout, Embedding
from keras_qa.layers.kernels.masking import zero_masked
from keras_qa.layers.kernels.tensor_types import Shape, Tensor

ENCODINGS = ("roles", "matrix", "positional")


@keras.saving.register_keras_serializable(package="keras_qa")
class SentenceEncoder(BaseLayer):
    """Encodes each sentence of a text into one vector.

    Id 0 is padding. Padding never changes the result, and a sentence of padding only gives a vector
    of zeros, which is masked.

    Args:
        vocabulary_size: Number of ids; ids run from 0 to `vocabulary_size - 1`.
        embedding_dim: Width of word vectors and sentence vectors.
        encoding: How the order of words is encoded.

            - `"roles"`: the sum of `num_roles` weighted sums of the word vectors, each times a
              learned matrix. The weights of a word are learned for its position, counted from the
              first word and from the last one. It separates roles such as subject and object, while
              all positions share the matrices (after Schlag & Schmidhuber 2018, arXiv:1811.12143).
            - `"matrix"`: the sum of word vectors, each times a learned matrix
              for its position. It distinguishes all orders.
            - `"positional"`: the sum of word vectors, each times fixed weights for its position,
              elementwise (Sukhbaatar et al. 2015, arXiv:1503.08895, section 4.1).
        max_words: Number of positions with weights of their own; later words
            share the last one. Not for `"positional"`.
        num_roles: Number of weighted sums. For `"roles"`.
        dropout: Fraction of the sentence vectors' entries dropped in training.
        **kwargs: `name`, `dtype` and `trainable`, as in `keras.layers.Layer`.

    Input shape: `(batch, sentences, words)` or `(batch, words)`, integers.

    Output shape: `(batch, sentences, embedding_dim)`, with a mask of the sentences that are not
    padding, or `(batch, embedding_dim)`.

    Examples:
        >>> import numpy as np
        >>> from keras_qa.layers import SentenceEncoder
        >>> encoder = SentenceEncoder(100, embedding_dim=8)
        >>> tuple(encoder(np.array([[[5, 7, 9], [3, 0, 0]]])).shape)
        (1, 2, 8)
    """

    ignores_padding = True

    def __init__(
        self,
        vocabulary_size: int,
        embedding_dim: int = 64,
        encoding: str = "matrix",
        max_words: int = 12,
        num_roles: int = 8,
        dropout: float = 0.0,
        **kwargs: Unpack[LayerOptions],
    ) -> None:
        super().__init__(**kwargs)
        check_choice("encoding", encoding, ENCODINGS)
        self.vocabulary_size = to_integer("vocabulary_size", vocabulary_size)
        self.embedding_dim = to_integer("embedding_dim", embedding_dim)
        self.encoding = encoding
        self.max_words = to_integer("max_words", max_words)
        self.num_roles = to_integer("num_roles", num_roles)
        self.dropout = dropout
        policy = self.dtype_policy
        self.embedding = Embedding(
            self.vocabulary_size,
            self.embedding_dim,
            # Small, so that the first updates already distinguish words.
            embeddings_initializer=keras.initializers.RandomNormal(stddev=0.3),
            dtype=policy,
            name="embedding",
        )
        self.sentence_dropout = Dropout(dropout, dtype=policy, name="dropout")

    def build(self, input_shape: Shape) -> None:
        dim = self.embedding_dim
        self.embedding.build(input_shape)
        if self.encoding == "roles":
            self.places = self.add_weight(
                shape=(2, self.max_words, self.num_roles), initializer=_random_roles, name="places"
            )
            self.mixing = self.add_weight(
                shape=(self.num_roles * dim, dim), initializer=_near_identity, name="mixing"
            )
        elif self.encoding == "matrix":
            self.places = self.add_weight(
                shape=(self.max_words, dim, dim), initializer=_near_identity, name="places"
            )
        self.built = True

    def call(self, inputs: Tensor, training: bool | None = None) -> Tensor:
        shape = ops.shape(inputs)
        ids = ops.reshape(inputs, (-1, shape[-1]))
        present = ids != 0
        words = self.embedding(ids)
        if self.encoding != "roles":
            words = zero_masked(words, present)
        vectors = getattr(self, f"_{self.encoding}")(words, present)
        vectors = ops.reshape(vectors, (*shape[:-1], self.embedding_dim))
        return self.sentence_dropout(vectors, training=training)

    def _place_weights(self, weights: Tensor, words: Tensor) -> Tensor:
        places = ops.minimum(ops.arange(ops.shape(words)[1]), self.max_words - 1)
        return ops.cast(ops.take(weights, places, axis=0), self.compute_dtype)

    def _roles(self, words: Tensor, present: Tensor) -> Tensor:
        from_first, from_last = ops.unstack(ops.cast(self.places, self.compute_dtype), num=2)
        position = ops.arange(ops.shape(words)[1])
        length = ops.max(ops.cast(present, "int32") * (position + 1), axis=1, keepdims=True)
        end = self.max_words - 1
        # Positions after the last word are clipped; their weights are set to zero below.
        last = ops.one_hot(ops.clip(length - 1 - position, 0, end), end + 1, dtype=words.dtype)
        weights = self._place_weights(from_first, words) + ops.matmul(last, from_last)
        # Masks the weights, not the words: they have fewer entries.
        weights = zero_masked(weights, present)
        sums = ops.matmul(ops.transpose(weights, (0, 2, 1)), words)
        sums = ops.reshape(sums, (-1, self.num_roles * self.embedding_dim))
        return ops.matmul(sums, ops.cast(self.mixing, words.dtype))

    def _matrix(self, words: Tensor, present: Tensor) -> Tensor:
        # One product over all words and entries also computes the sum over words.
        width = ops.shape(words)[1] * self.embedding_dim
        matrices = ops.reshape(self._place_weights(self.places, words), (width, self.embedding_dim))
        return ops.matmul(ops.reshape(words, (ops.shape(words)[0], width)), matrices)

    def _positional(self, words: Tensor, present: Tensor) -> Tensor:
        # The weight of entry k of d of word j of J is (1 - j/J) - (k/d)(1 - 2j/J).
        present = ops.cast(present, "float32")
        position = ops.cast(ops.arange(1, ops.shape(words)[1] + 1), "float32")
        length = ops.max(present * position, axis=1, keepdims=True)
        share = position / ops.maximum(length, 1.0)
        entry = ops.arange(1, self.embedding_dim + 1, dtype="float32") / self.embedding_dim
        weights = ops.stack([1.0 - share, 1.0 - 2.0 * share], axis=1)
        sums = ops.matmul(ops.cast(weights, words.dtype), words)
        return sums[:, 0] - ops.cast(entry, words.dtype) * sums[:, 1]

    def compute_mask(self, inputs: Tensor, mask: Tensor | None = None) -> Tensor | None:
        return ops.any(inputs != 0, axis=-1) if len(inputs.shape) == 3 else None

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return (*input_shape[:-1], self.embedding_dim)


def _near_identity(shape: tuple[int, ...], dtype: str | None = None) -> Tensor:
    # Initially a word has nearly the same vector at each position, in the text and in the question.
    noise = keras.random.normal(shape, stddev=shape[-1] ** -0.5, dtype=dtype)
    return noise + ops.eye(*shape[-2:], dtype=dtype)


def _random_roles(shape: tuple[int, int, int], dtype: str | None = None) -> Tensor:
    # The first role is a plain sum of the words; the weights of the others are random.
    plain_sum = ops.full((*shape[:2], 1), 0.5, dtype=dtype)
    others = keras.random.normal((*shape[:2], shape[2] - 1), dtype=dtype)
    return ops.concatenate([plain_sum, others], axis=2)
