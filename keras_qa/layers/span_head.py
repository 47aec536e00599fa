"""Layers for extractive answers: logits of start and end, and the positions of the text."""

from __future__ import annotations

import functools
import operator
from collections.abc import Sequence
from typing import Any, Unpack

import keras
from keras import ops

from keras_qa._arguments import check_choice
from keras_qa._numbers import MASKED
from keras_qa.layers.base_layer import BaseLayer, LayerOptions, shape_list
from keras_qa.layers.keras_layers import Dense, Dropout
from keras_qa.layers.kernels.masking import mask_of
from keras_qa.layers.kernels.tensor_types import Shape, Tensor
from keras_qa.preprocessing.decoder import check_answer_types


@keras.saving.register_keras_serializable(package="keras_qa")
class SpanHead(BaseLayer):
    """Logits of the start and of the end of an answer. Position 0 stands for no answer.

    The logits are float32 under every dtype policy. Masked positions get -1e9.

    Args:
        no_answer: What position 0 is.

            - `"learned"`: an additional position before the inputs, with a
              learned logit (Levy et al. 2017, arXiv:1706.04115).
            - `"first"`: the first position of the inputs, such as BERT's [CLS], even if it is
              masked (Devlin et al. 2019, arXiv:1810.04805).
        dropout: Fraction of the inputs' entries dropped in training.
        answer_types: Answers that are not spans: `"yes"`, `"no"` or both. Each has a position after
            position 0, with the same logit for start and end, computed from the first position of
            the inputs.
        **kwargs: `name`, `dtype` and `trainable`, as in `keras.layers.Layer`.

    Call arguments:
        inputs: `(batch, time, features)`, or a list of these, which are concatenated.
        mask: `(batch, time)` boolean: where an answer may start and end; `None` for everywhere. Of
            a list of masks, the first is used.

    Returns:
        Two tensors, the logits of the start and of the end, `(batch, positions)` float32 each.

    Examples:
        >>> import numpy as np
        >>> from keras_qa.layers import SpanHead
        >>> start, end = SpanHead()(np.ones((2, 5, 4)))
        >>> tuple(start.shape), tuple(end.shape)
        ((2, 6), (2, 6))
    """

    ignores_padding = True

    def __init__(
        self,
        no_answer: str = "learned",
        dropout: float = 0.0,
        answer_types: Sequence[str] = (),
        **kwargs: Unpack[LayerOptions],
    ) -> None:
        super().__init__(**kwargs)
        check_choice("no_answer", no_answer, ("learned", "first"))
        self.no_answer = no_answer
        self.dropout = dropout
        self.answer_types = check_answer_types(answer_types)
        policy = self.dtype_policy
        self.input_dropout = Dropout(dropout, dtype=policy, name="input_dropout")
        self.logits = Dense(2, dtype=policy, name="logits")
        self.type_logits = None
        if self.answer_types:
            self.type_logits = Dense(len(self.answer_types), dtype=policy, name="type_logits")

    def build(self, input_shape: Shape | Sequence[Shape]) -> None:
        width: Any = sum(shape[-1] for shape in shape_list(input_shape))
        self.logits.build((None, None, width))
        if self.type_logits is not None:
            self.type_logits.build((None, width))
        if self.no_answer == "learned":
            self.none = self.add_weight(shape=(2,), initializer="zeros", name="no_answer")
        self.built = True

    def call(
        self,
        inputs: Tensor | list[Tensor],
        mask: Tensor | list[Tensor | None] | None = None,
        training: bool | None = None,
    ) -> tuple[Tensor, Tensor]:
        features = ops.concatenate(inputs, axis=-1) if isinstance(inputs, (list, tuple)) else inputs
        text_mask = mask_of(mask, 0)
        features = self.input_dropout(features, training=training)
        logits = ops.cast(self.logits(features), "float32")
        if text_mask is not None:
            text_mask = ops.cast(text_mask, "bool")
            if self.no_answer == "first":
                text_mask = ops.concatenate(
                    [ops.ones_like(text_mask[:, :1]), text_mask[:, 1:]], axis=1
                )
            logits = ops.where(text_mask[..., None], logits, MASKED)
        if self.no_answer == "learned":
            none = ops.broadcast_to(ops.cast(self.none, "float32"), (ops.shape(logits)[0], 1, 2))
            logits = ops.concatenate([none, logits], axis=1)
        if self.type_logits is not None:
            types = ops.cast(self.type_logits(features[:, 0]), "float32")
            types = ops.stack([types, types], axis=-1)
            logits = ops.concatenate([logits[:, :1], types, logits[:, 1:]], axis=1)
        return logits[..., 0], logits[..., 1]

    def compute_mask(
        self, inputs: Tensor | list[Tensor], mask: Tensor | list[Tensor | None] | None = None
    ) -> None:
        # The loss needs all positions.
        return None

    def compute_output_spec(
        self,
        inputs: keras.KerasTensor | list[keras.KerasTensor],
        mask: Tensor | list[Tensor | None] | None = None,
        training: bool | None = None,
    ) -> tuple[keras.KerasTensor, ...]:
        batch, time, _ = (inputs[0] if isinstance(inputs, (list, tuple)) else inputs).shape
        if time is not None:
            time += (self.no_answer == "learned") + len(self.answer_types)
        return tuple(keras.KerasTensor((batch, time), "float32") for _ in range(2))


@keras.saving.register_keras_serializable(package="keras_qa")
class TextPositions(BaseLayer):
    """A mask of the text in a sequence of question and text with special tokens around them.

    It takes the ids and the padding mask, `(batch, time)` each. `separators` are the ids of the
    special tokens between question and text and after the text, as in `SubwordTokenizer.between`
    and `after`. They never occur inside a question or a text.
    """

    ignores_padding = True

    def __init__(self, separators: Sequence[int], **kwargs: Unpack[LayerOptions]) -> None:
        super().__init__(**kwargs)
        self.separators = [int(id) for id in separators]
        if not self.separators:
            raise ValueError("`separators` must contain at least one id. Received: separators=[].")

    def call(self, inputs: Sequence[Tensor]) -> Tensor:
        ids, mask = inputs
        # Not `keras.ops`: they check for symbolic tensors, which takes longer than the operation.
        special = functools.reduce(operator.or_, [ids == id for id in set(self.separators)])
        after = ops.cumsum(ops.cast(special, "int32"), axis=1) > 0
        return after & ~special & ops.cast(mask, "bool")

    def compute_output_spec(self, inputs: Sequence[keras.KerasTensor]) -> keras.KerasTensor:
        return keras.KerasTensor(inputs[0].shape, "bool")
