"""Answer heads: encodings in, probabilities of answers or supporting sentences out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Unpack

import keras
from keras import ops

from keras_qa._arguments import to_integer, to_optional_integer
from keras_qa.layers.base_layer import BaseLayer, LayerOptions, UnnamedOptions
from keras_qa.layers.keras_layers import Dense, Dropout
from keras_qa.layers.kernels.masking import mask_of
from keras_qa.layers.kernels.tensor_types import Masks, Shape, Tensor


@keras.saving.register_keras_serializable(package="keras_qa")
class AnswerHead(BaseLayer):
    """Softmax over an answer vocabulary.

    The probabilities are float32 under every dtype policy, since a softmax
    over many answers underflows in half precision.

    Args:
        vocabulary_size: Number of answers.
        hidden_dim: Width of a ReLU layer before the softmax. `None` for none.
        dropout: Fraction of the input's entries dropped in training.
        **kwargs: `name`, `dtype` and `trainable`, as in `keras.layers.Layer`.

    Input shape: `(batch, features)`.

    Output shape: `(batch, vocabulary_size)`, each row adding up to one.

    Examples:
        >>> import numpy as np
        >>> from keras_qa.layers import AnswerHead
        >>> tuple(AnswerHead(500)(np.zeros((2, 48), "float32")).shape)
        (2, 500)
    """

    ignores_padding = True

    def __init__(
        self,
        vocabulary_size: int,
        hidden_dim: int | None = None,
        dropout: float = 0.0,
        **kwargs: Unpack[LayerOptions],
    ) -> None:
        super().__init__(**kwargs)
        self.vocabulary_size = to_integer("vocabulary_size", vocabulary_size)
        self.hidden_dim = to_optional_integer("hidden_dim", hidden_dim)
        self.dropout = dropout
        policy = self.dtype_policy
        self.input_dropout = Dropout(dropout, dtype=policy, name="input_dropout")
        self.hidden = (
            Dense(self.hidden_dim, activation="relu", dtype=policy, name="hidden")
            if self.hidden_dim
            else None
        )
        self.logits = Dense(self.vocabulary_size, dtype=policy, name="logits")

    def build(self, input_shape: Shape) -> None:
        if self.hidden is not None:
            self.hidden.build(input_shape)
            input_shape = (*input_shape[:-1], self.hidden_dim)
        self.logits.build(input_shape)
        self.built = True

    def call(self, inputs: Tensor, training: bool | None = None) -> Tensor:
        features = self.input_dropout(inputs, training=training)
        if self.hidden is not None:
            features = self.hidden(features)
        return ops.softmax(ops.cast(self.logits(features), "float32"))

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return (*input_shape[:-1], self.vocabulary_size)

    def compute_output_spec(
        self, inputs: keras.KerasTensor, training: bool | None = None
    ) -> keras.KerasTensor:
        return keras.KerasTensor(self.compute_output_shape(inputs.shape), dtype="float32")


@keras.saving.register_keras_serializable(package="keras_qa")
class SupportHead(BaseLayer):
    """The probability that each sentence supports the answer, float32 under every dtype policy.

    A ReLU layer reads each sentence and its elementwise product with the state; a sigmoid follows.
    It takes the state, `(batch, features)`, and the sentences, `(batch, sentences, features)`, and
    returns `(batch, sentences)`, zeros for padding.
    """

    ignores_padding = True

    def __init__(self, hidden_dim: int = 64, **kwargs: Unpack[LayerOptions]) -> None:
        super().__init__(**kwargs)
        self.hidden_dim = to_integer("hidden_dim", hidden_dim)
        policy = self.dtype_policy
        self.hidden = Dense(self.hidden_dim, activation="relu", dtype=policy, name="hidden")
        self.logits = Dense(1, dtype=policy, name="logits")

    def build(self, input_shape: Sequence[Shape]) -> None:
        width: Any = input_shape[1][-1]
        self.hidden.build((None, None, 2 * width))
        self.logits.build((None, None, self.hidden_dim))
        self.built = True

    def call(self, inputs: Sequence[Tensor], mask: Masks = None) -> Tensor:
        state, sentences = inputs
        features = ops.concatenate([sentences, sentences * state[:, None]], axis=-1)
        logits = ops.cast(self.logits(self.hidden(features))[..., 0], "float32")
        chances = ops.sigmoid(logits)
        sentence_mask = mask_of(mask, 1)
        return chances if sentence_mask is None else ops.where(sentence_mask, chances, 0.0)

    def compute_mask(self, inputs: Sequence[Tensor], mask: Masks = None) -> None:
        # `SupportLoss` handles padding itself.
        return None

    def compute_output_spec(
        self, inputs: Sequence[keras.KerasTensor], mask: Masks = None
    ) -> keras.KerasTensor:
        return keras.KerasTensor(inputs[1].shape[:2], dtype="float32")


class HeadOptions(UnnamedOptions, total=False):
    """Further arguments of `AnswerHead`."""

    hidden_dim: int | None
    dropout: float


def answer_head(
    vocabulary_size: int = 500, name: str = "answer", **kwargs: Unpack[HeadOptions]
) -> AnswerHead:
    """The head of the classic model: a softmax over 500 answer words.

    The arguments are those of `AnswerHead`. The model's output has the name of the layer.

    Examples:
        >>> from keras_qa.layers import answer_head
        >>> answer_head().vocabulary_size
        500
    """
    return AnswerHead(vocabulary_size, name=name, **kwargs)
