"""Layers for choices: each becomes a row of the batch, and its logit returns to its example."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Unpack

import keras
from keras import ops

from keras_qa._numbers import MASKED
from keras_qa.layers import kernels
from keras_qa.layers.base_layer import BaseLayer, LayerOptions
from keras_qa.layers.kernels.tensor_types import Tensor


@keras.saving.register_keras_serializable(package="keras_qa")
class FoldChoices(BaseLayer):
    """Makes a row of each choice, so that other layers read each of them alone.

    It takes a list of `(batch, choices, time)` integers and returns `(batch * choices, time)`.
    Inputs of shape `(batch, time)` are repeated for each choice; the last one must have choices.
    Feeds are checked by `vocabulary_sizes` and `max_length`.
    """

    ignores_padding = True
    folds_choices = True

    def __init__(
        self,
        vocabulary_sizes: Sequence[int | None],
        max_length: int | None = None,
        **kwargs: Unpack[LayerOptions],
    ) -> None:
        super().__init__(**kwargs)
        self.vocabulary_sizes = list(vocabulary_sizes)
        self.max_length = max_length

    def call(self, inputs: Sequence[Tensor]) -> list[Tensor]:
        batch, choices = ops.shape(inputs[-1])[:2]
        rows = []
        for ids in inputs:
            time = ops.shape(ids)[-1]
            if len(ids.shape) == 2:
                ids = ops.broadcast_to(ops.expand_dims(ids, 1), (batch, choices, time))
            rows.append(ops.reshape(ids, (-1, time)))
        return rows

    def compute_output_spec(self, inputs: Sequence[keras.KerasTensor]) -> list[keras.KerasTensor]:
        return [keras.KerasTensor((None, ids.shape[-1]), ids.dtype) for ids in inputs]


@keras.saving.register_keras_serializable(package="keras_qa")
class JoinChoices(kernels.Layer):
    """Joins the logits of the choices of each example, after `FoldChoices`.

    It takes the logits, `(batch * choices, 1)`, and the ids of the choices, `(batch, choices,
    time)`, and returns `(batch, choices)`. A choice without ids is padding and gets -1e9.
    """

    ignores_padding = True
    output_padding = MASKED

    def call(self, inputs: Sequence[Tensor]) -> Tensor:
        logits, ids = inputs
        is_choice = ops.any(ops.not_equal(ids, 0), axis=-1)
        return ops.where(is_choice, ops.reshape(logits, (-1, ops.shape(ids)[1])), MASKED)

    def compute_output_spec(self, inputs: Sequence[keras.KerasTensor]) -> keras.KerasTensor:
        return keras.KerasTensor(inputs[1].shape[:2], "float32")
