"""Attention between a text and a question."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_qa.layers.base_layer import BaseLayer
from keras_qa.layers.keras_layers import Dense
from keras_qa.layers.kernels.masking import mask_of, masked_softmax, zero_masked
from keras_qa.layers.kernels.tensor_types import Masks, Shape, Tensor


@keras.saving.register_keras_serializable(package="keras_qa")
class AlignedQuestionEmbedding(BaseLayer):
    """The aligned question embedding of Chen et al. 2017 (arXiv:1704.00051, section 3.2).

    It takes the word vectors of text and question, `(batch, words, features)` each, and returns for
    each word of the text the mean of the question's vectors, weighted by the softmax of their
    products after one dense ReLU layer: `(batch, words, features)`, zeros for padding and for an
    empty question.
    """

    ignores_padding = True

    def build(self, input_shape: Sequence[Shape]) -> None:
        width: Any = input_shape[0][-1]
        self.hidden = Dense(width, activation="relu", dtype=self.dtype_policy, name="hidden")
        self.hidden.build((None, None, width))
        self.built = True

    def call(self, inputs: Sequence[Tensor], mask: Masks = None) -> Tensor:
        text, question = inputs
        question_mask = mask_of(mask, 1)
        scores = ops.matmul(self.hidden(text), ops.transpose(self.hidden(question), (0, 2, 1)))
        if question_mask is not None:
            question_mask = ops.expand_dims(question_mask, 1)
        weights = masked_softmax(scores, question_mask)
        aligned = ops.matmul(ops.cast(weights, question.dtype), question)
        return zero_masked(aligned, mask_of(mask, 0))

    def compute_mask(self, inputs: Sequence[Tensor], mask: Masks = None) -> Tensor | None:
        return mask_of(mask, 0)

    def compute_output_spec(
        self, inputs: Sequence[keras.KerasTensor], mask: Masks = None
    ) -> keras.KerasTensor:
        return keras.KerasTensor(inputs[0].shape, self.compute_dtype)


@keras.saving.register_keras_serializable(package="keras_qa")
class BidirectionalAttentionFlow(BaseLayer):
    """Attention in both directions between a text and a question, `(batch, words, features)` each.

    The attention flow layer of Seo et al. 2017 (arXiv:1611.01603, section 2). The similarity of
    word `h` of the text and word `u` of the question is `w · [h; u; h * u]` with a learned `w`. The
    output for each word of the text is `[h; ũ; h * ũ; h * h̃]`. Here `ũ` is the attention-weighted
    mean of the question, and `h̃` is the mean of the text, weighted by each word's highest
    similarity to a word of the question. Padding gets zeros.
    """

    ignores_padding = True

    def build(self, input_shape: Sequence[Shape]) -> None:
        width: Any = input_shape[0][-1]
        # The three parts of the paper's `w`.
        self.of_text, self.of_question, self.of_both = (
            self.add_weight(shape=(width,), initializer=_normal_by_width, name=name)
            for name in ("of_text", "of_question", "of_both")
        )
        self.built = True

    def call(self, inputs: Sequence[Tensor], mask: Masks = None) -> Tensor:
        text, question = inputs
        text_mask, question_mask = mask_of(mask, 0), mask_of(mask, 1)
        own, other, both = (
            ops.cast(weight, self.compute_dtype)
            for weight in (self.of_text, self.of_question, self.of_both)
        )
        scores = ops.matmul(text * both, ops.transpose(question, (0, 2, 1)))
        scores = scores + ops.expand_dims(ops.matmul(text, own), 2)
        scores = scores + ops.expand_dims(ops.matmul(question, other), 1)
        scores = ops.cast(scores, "float32")
        if question_mask is not None:
            question_mask = ops.expand_dims(question_mask, 1)
            scores = ops.where(question_mask, scores, -1e9)
        to_question = ops.cast(masked_softmax(scores, question_mask), question.dtype)
        attended = ops.matmul(to_question, question)
        highest = ops.max(scores, axis=2)
        if question_mask is not None:
            # With an empty question, all words of the text get the same weight.
            highest = ops.where(ops.any(question_mask, axis=2), highest, 0.0)
        to_text = ops.cast(masked_softmax(highest, text_mask), text.dtype)
        important = ops.matmul(ops.expand_dims(to_text, 1), text)
        flow = ops.concatenate([text, attended, text * attended, text * important], axis=-1)
        return zero_masked(flow, text_mask)

    def compute_mask(self, inputs: Sequence[Tensor], mask: Masks = None) -> Tensor | None:
        return mask_of(mask, 0)

    def compute_output_spec(
        self, inputs: Sequence[keras.KerasTensor], mask: Masks = None
    ) -> keras.KerasTensor:
        *sizes, width = inputs[0].shape
        return keras.KerasTensor((*sizes, 4 * width), self.compute_dtype)


def _normal_by_width(shape: tuple[int, ...], dtype: str | None = None) -> Tensor:
    return keras.random.normal(shape, stddev=shape[-1] ** -0.5, dtype=dtype)
