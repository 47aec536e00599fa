"""The heads of published classifiers: vectors of an encoder in, logits of labels out."""

from __future__ import annotations

from typing import Any, Unpack

import keras
from keras import ops

from keras_qa._arguments import check_choice, to_integer, to_optional_integer
from keras_qa.layers.base_layer import BaseLayer, LayerOptions
from keras_qa.layers.keras_layers import Dropout
from keras_qa.layers.kernels.masking import max_over_time, mean_over_time
from keras_qa.layers.kernels.tensor_types import Shape, Tensor
from keras_qa.layers.transformer_block import get_activation, make_dense, make_norm
from keras_qa.layers.transformer_encoder import TransformerEncoder
from keras_qa.preprocessing.preprocessor import TASKS

POOLINGS = ("first", "mean", "max")


@keras.saving.register_keras_serializable(package="keras_qa")
class ClassificationHead(BaseLayer):
    """Logits of labels, for a sequence or for each of its positions, float32 under every policy.

    The settings cover the heads of the families that `models.text_classifier` reads. The order is:
    pooling, `input_dropout`, a dense layer of `hidden_dim`, `activation`, a normalization without
    an offset if there is a `layer_norm_epsilon`, `dropout`, logits. `None` leaves a step out.

    `pooling="first"` classifies the first vector of the sequence, such as BERT's [CLS]; `"mean"`
    and `"max"` the mean and the largest entries of the vectors, without padding; `None` each
    vector. The logits of padding are then 0.
    """

    ignores_padding = True

    def __init__(
        self,
        num_labels: int,
        pooling: str | None = "first",
        hidden_dim: int | None = None,
        activation: str | None = None,
        use_bias: bool = True,
        layer_norm_epsilon: float | None = None,
        input_dropout: float = 0.0,
        dropout: float = 0.0,
        **kwargs: Unpack[LayerOptions],
    ) -> None:
        super().__init__(**kwargs)
        self.num_labels = to_integer("num_labels", num_labels)
        if pooling is not None:
            check_choice("pooling", pooling, POOLINGS)
        self.pooling = pooling
        self.hidden_dim = to_optional_integer("hidden_dim", hidden_dim)
        self.activation = activation
        self.use_bias = use_bias
        self.layer_norm_epsilon = layer_norm_epsilon
        self.input_dropout = input_dropout
        self.dropout = dropout
        policy = self.dtype_policy
        self.drop_inputs = Dropout(input_dropout, dtype=policy, name="drop_inputs")
        self.drop = Dropout(dropout, dtype=policy, name="drop")
        self.activate = None if activation is None else get_activation(activation)
        self.dense: Any = None
        self.norm: Any = None
        if self.hidden_dim is not None:
            self.dense = make_dense(self.hidden_dim, "dense", use_bias, policy)
        if layer_norm_epsilon is not None:
            self.norm = make_norm("norm", layer_norm_epsilon, False, policy)
        self.logits = make_dense(self.num_labels, "logits", True, policy)

    @property
    def output_padding(self) -> float | None:
        """The logits of padding. `None` with pooling."""
        return 0.0 if self.pooling is None else None

    def build(self, input_shape: Shape) -> None:
        shape = tuple(input_shape) if self.pooling is None else (input_shape[0], input_shape[-1])
        if self.dense is not None:
            self.dense.build(shape)
            shape = (*shape[:-1], self.hidden_dim)
        if self.norm is not None:
            self.norm.build(shape)
        self.logits.build(shape)
        self.built = True

    def call(
        self, inputs: Tensor, mask: Tensor | None = None, training: bool | None = None
    ) -> Tensor:
        state = self.drop_inputs(self._pool(inputs, mask), training=training)
        if self.dense is not None:
            state = self.dense(state)
        if self.activate is not None:
            state = self.activate(state)
        if self.norm is not None:
            state = self.norm(state)
        logits = ops.cast(self.logits(self.drop(state, training=training)), "float32")
        if self.pooling is None and mask is not None:
            logits = ops.where(ops.cast(mask, "bool")[..., None], logits, 0.0)
        return logits

    def _pool(self, inputs: Tensor, mask: Tensor | None) -> Tensor:
        if self.pooling is None:
            return inputs
        if self.pooling == "first":
            return inputs[:, 0]
        present = ops.cast(ops.ones_like(inputs[..., 0]) if mask is None else mask, "bool")
        if self.pooling == "max":
            return max_over_time(inputs, present)
        return ops.cast(mean_over_time(inputs, present), self.compute_dtype)

    def compute_mask(self, inputs: Tensor, mask: Tensor | None = None) -> None:
        # Labels tell which positions count in the loss.
        return None

    def compute_output_spec(
        self,
        inputs: keras.KerasTensor,
        mask: Tensor | None = None,
        training: bool | None = None,
    ) -> keras.KerasTensor:
        shape = inputs.shape[:-1] if self.pooling is None else inputs.shape[:1]
        return keras.KerasTensor((*shape, self.num_labels), "float32")


def task_of(model: keras.Model) -> str | None:
    """Returns the task of a model of `text_classifier`, and `None` for other models."""
    encoder = transformer_of(model)
    if encoder is None or not any(isinstance(item, ClassificationHead) for item in model.layers):
        return None
    # The encoder's config names the architecture of the whole model.
    names = (encoder.settings["checkpoint"] or {}).get("architectures") or [""]
    return next((task for task, suffix in TASKS.items() if str(names[0]).endswith(suffix)), None)


def transformer_of(model: keras.Model) -> TransformerEncoder | None:
    """Returns the published encoder of a reader, or `None`."""
    return next((item for item in model.layers if isinstance(item, TransformerEncoder)), None)
