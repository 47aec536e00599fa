"""Features of words for readers: embeddings, context, exact match with the question."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Unpack

import keras
from keras import ops

from keras_qa._arguments import check_choice, to_integer
from keras_qa.layers import kernels
from keras_qa.layers.base_layer import BaseLayer, LayerOptions, shape_list
from keras_qa.layers.encoders import CELLS
from keras_qa.layers.keras_layers import Dropout, Embedding
from keras_qa.layers.kernels.masking import mask_of, zero_masked
from keras_qa.layers.kernels.tensor_types import Masks, Shape, Tensor


@keras.saving.register_keras_serializable(package="keras_qa")
class WordEmbedding(BaseLayer):
    """An embedding of words with dropout. Id 0 is padding, and masked."""

    ignores_padding = True

    def __init__(
        self,
        vocabulary_size: int,
        embedding_dim: int = 64,
        dropout: float = 0.0,
        **kwargs: Unpack[LayerOptions],
    ) -> None:
        super().__init__(**kwargs)
        self.vocabulary_size = to_integer("vocabulary_size", vocabulary_size)
        self.embedding_dim = to_integer("embedding_dim", embedding_dim)
        self.dropout = dropout
        policy = self.dtype_policy
        self.embedding = Embedding(
            self.vocabulary_size, self.embedding_dim, mask_zero=True, dtype=policy, name="embedding"
        )
        # `trainable=False` in the config must also freeze the table.
        self.embedding.trainable = self.trainable
        self.word_dropout = Dropout(dropout, dtype=policy, name="word_dropout")

    def build(self, input_shape: Shape) -> None:
        self.embedding.build(input_shape)
        self.built = True

    def call(self, inputs: Tensor, training: bool | None = None) -> Tensor:
        return self.word_dropout(self.embedding(inputs), training=training)

    def compute_mask(self, inputs: Tensor, mask: Tensor | None = None) -> Tensor:
        return ops.not_equal(inputs, 0)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return (*input_shape, self.embedding_dim)


@keras.saving.register_keras_serializable(package="keras_qa")
class ContextEncoder(BaseLayer):
    """Stacked bidirectional recurrent layers (Graves & Schmidhuber 2005): a vector for each word.

    It takes `(batch, time, features)`, or a list of these, which are concatenated, and returns
    `(batch, time, 2 * units)`, zeros for masked steps. Of a list of masks, the first is used.
    """

    ignores_padding = True

    def __init__(
        self,
        units: int = 64,
        num_layers: int = 1,
        cell: str = "lstm",
        dropout: float = 0.0,
        fused: str | bool = "auto",
        **kwargs: Unpack[LayerOptions],
    ) -> None:
        super().__init__(**kwargs)
        check_choice("cell", cell, CELLS)
        self.units = to_integer("units", units)
        self.num_layers = to_integer("num_layers", num_layers)
        self.cell = cell
        self.dropout = dropout
        self.fused = fused
        options: Any = {"return_sequences": True, "fused": fused, "dtype": self.dtype_policy}
        self.forwards, self.backwards = (
            [
                CELLS[cell](self.units, go_backwards=backwards, name=f"{name}_{index}", **options)
                for index in range(self.num_layers)
            ]
            for name, backwards in (("forward", False), ("backward", True))
        )
        self.input_dropout = Dropout(dropout, dtype=self.dtype_policy, name="input_dropout")

    def build(self, input_shape: Shape | Sequence[Shape]) -> None:
        width: Any = sum(shape[-1] for shape in shape_list(input_shape))
        for layer, other in zip(self.forwards, self.backwards, strict=True):
            layer.build((None, None, width))
            other.build((None, None, width))
            width = 2 * self.units
        self.built = True

    def call(
        self,
        inputs: Tensor | list[Tensor],
        mask: Tensor | list[Tensor | None] | None = None,
        training: bool | None = None,
    ) -> Tensor:
        states = ops.concatenate(inputs, axis=-1) if isinstance(inputs, (list, tuple)) else inputs
        mask = mask_of(mask, 0)
        for layer, other in zip(self.forwards, self.backwards, strict=True):
            states = self.input_dropout(states, training=training)
            before = layer(states, mask=mask, training=training)
            # The backward layer returns its sequence in reversed order.
            after = ops.flip(other(states, mask=mask, training=training), axis=1)
            states = ops.concatenate([before, after], axis=-1)
        return zero_masked(states, mask)

    @property
    def ends_early(self) -> bool:
        """Whether a compiled loop ends with the longest row of the batch."""
        return self.fused is not False

    def compute_mask(
        self, inputs: Tensor | list[Tensor], mask: Tensor | list[Tensor | None] | None = None
    ) -> Tensor | None:
        return mask_of(mask, 0)

    def compute_output_shape(self, input_shape: Shape | Sequence[Shape]) -> Shape:
        return (*shape_list(input_shape)[0][:-1], 2 * self.units)


@keras.saving.register_keras_serializable(package="keras_qa")
class ExactMatch(kernels.Layer):
    """Whether each word of a text occurs in the question, `(batch, words, 1)`, from their ids.

    The exact-match feature of Chen et al. 2017 (arXiv:1704.00051, section 3.2). Padding (id 0) and
    the unknown word (id 1) never match.
    """

    ignores_padding = True

    def call(self, inputs: Sequence[Tensor]) -> Tensor:
        text, question = inputs
        same = ops.equal(ops.expand_dims(text, 2), ops.expand_dims(question, 1))
        matches = ops.logical_and(ops.any(same, axis=2), text > 1)
        return ops.expand_dims(ops.cast(matches, self.compute_dtype), -1)

    def compute_mask(self, inputs: Sequence[Tensor], mask: Masks = None) -> Tensor:
        return ops.not_equal(inputs[0], 0)

    def compute_output_spec(self, inputs: Sequence[keras.KerasTensor]) -> keras.KerasTensor:
        return keras.KerasTensor((*inputs[0].shape, 1), self.compute_dtype)
