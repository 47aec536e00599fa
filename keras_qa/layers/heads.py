"""The answer head: encodings in, probabilities of answers out."""

from __future__ import annotations

from typing import Any, Unpack

import keras
from keras import ops

from keras_qa._arguments import to_integer, to_optional_integer
from keras_qa.kernels.tensor_types import Shape, Tensor
from keras_qa.layers.composite import Composite, LayerOptions, UnnamedOptions
from keras_qa.layers.keras_layers import Dense, Dropout


@keras.saving.register_keras_serializable(package="keras_qa")
class AnswerHead(Composite):
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

    Raises:
        ValueError: If an argument is out of its range.

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

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "vocabulary_size": self.vocabulary_size,
            "hidden_dim": self.hidden_dim,
            "dropout": self.dropout,
        }


class HeadOptions(UnnamedOptions, total=False):
    """Further arguments of `AnswerHead`."""

    hidden_dim: int | None
    dropout: float


def answer_head(
    vocabulary_size: int = 500, name: str = "answer", **kwargs: Unpack[HeadOptions]
) -> AnswerHead:
    """The head of the classic model: a softmax over 500 answer words.

    Args:
        vocabulary_size: Number of answers.
        name: Name of the layer, and of the model's output.
        **kwargs: Further arguments of `AnswerHead`.

    Returns:
        An `AnswerHead`.

    Examples:
        >>> from keras_qa.layers import answer_head
        >>> answer_head().vocabulary_size
        500
    """
    return AnswerHead(vocabulary_size, name=name, **kwargs)
