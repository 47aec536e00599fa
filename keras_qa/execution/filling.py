"""Few shapes for many batches: widths that are shared, and last batches that are filled up.

A backend that compiles takes a second or more for each shape. A row that is filled in is hidden
from the loss and the metrics by Keras' own means, a mask on the outputs.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterable, Sequence
from typing import Any

import keras
import numpy as np

from keras_qa.execution.signature import draws
from keras_qa.kernels.tensors import Tensor


@dataclasses.dataclass(frozen=True)
class Shapes:
    """What the batches of a training are to look like.

    Attributes:
        shared: Whether they are all as wide as the feed: the model ends with the longest row.
        filled: Whether the last one is to have as many rows as the others.
        steps: How many there are, if a width has a program of its own only where these pay for it.
    """

    shared: bool = False
    filled: bool = False
    steps: int = 0


ANY = Shapes()


@dataclasses.dataclass(frozen=True)
class Plan:
    """How a model trains and is evaluated, as it was decided when that last began.

    Attributes:
        filled: Rows up to which a batch that is not full is filled; 0 for none.
        tested: Whether the last batch of an evaluation is filled up, too, on JAX.
        by_xla: Whether gradients are computed by a program of XLA, on TensorFlow.
        early: Whether that ends with the longest row.
        widths: Of a batch, on JAX, whose program ends with the longest row.
        updates: Whether XLA compiles the update of the weights as well.
        steps: How many there were, and will be, on TensorFlow.
        programs: What TensorFlow has traced of a step.
    """

    filled: int = 0
    tested: bool = False
    by_xla: bool = False
    early: bool = False
    widths: tuple[int, ...] = ()
    updates: bool = False
    steps: int = dataclasses.field(default=0, compare=False)
    programs: dict[Any, Any] = dataclasses.field(default_factory=dict, compare=False, repr=False)

    @property
    def hides(self) -> bool:
        """Whether the rows that are filled in are to be hidden."""
        return self.filled > 0 or self.tested


# What a program for a further width takes of the first step that compiled, beyond what was traced
# for all of them: 0.8 of 2.6 s on TensorFlow, 1.0 of 2.1 on JAX, which had to start, too.
OF_FIRST = 0.4

# What a batch that is narrower than its program loses, beside one with a program of its own, where
# the program ends with the longest row.
LOST_BY_SHARING = 0.2

# A program takes as long to compile as so many steps to run, for all models: 20 of a reader from
# scratch, a thousand of a memory network. A rule that measured it would give a training that goes
# on other widths than one that was never broken off.
STEPS_OF_A_COMPILE = 50


@dataclasses.dataclass
class Costs:
    """What the trainings of a model have cost, in seconds.

    Attributes:
        compiling: What a program for a further width takes.
        tracing: What of the first step of a training is done once for all widths.
        lost: By batches that share a width, in all steps but the first ones.
        own: Whether widths have programs of their own by now.
    """

    compiling: float = 0.0
    tracing: float = 0.0
    lost: float = 0.0
    own: bool = False

    def compiled(self, seconds: float) -> None:
        """Takes what the first step of a training took beyond the others."""
        if not self.compiling:
            self.compiling = OF_FIRST * max(0.0, seconds - self.tracing)

    def are_worth(self, widths: int, to_come: float = 0.0) -> bool:
        """Whether programs for so many widths are worth their making.

        Args:
            widths: How many programs.
            to_come: How much the training will still lose without them.
        """
        self.own = self.own or 0.0 < widths * self.compiling < self.lost + to_come
        return self.own


# Layers that compute each row of a batch from that row alone, and add no loss.
_ROW_BY_ROW = {
    *("InputLayer", "Embedding", "Masking", "LSTM", "LSTMCell", "GRU", "GRUCell", "Bidirectional"),
    *("Dense", "Dropout", "Activation", "Softmax", "LayerNormalization", "Concatenate", "Add"),
    *("Multiply", "SequenceEncoder", "AnswerHead", "NotEqual", "Any"),
    # Of readers and of stories.
    *("WordEmbedding", "ContextEncoder", "ExactMatch", "AlignedQuestionEmbedding"),
    *("BidirectionalAttentionFlow", "SpanHead", "SentenceEncoder", "TemporalEncoding"),
    *("PreviousSentence", "MemoryHops", "UniversalTransformerEncoder", "SupportHead"),
}

# Metrics that hide what is masked.
_HIDING = {
    *("accuracy", "acc", "crossentropy", "ce", "sparse_categorical_accuracy"),
    *("categorical_accuracy", "binary_accuracy", "top_k_categorical_accuracy"),
    *("sparse_top_k_categorical_accuracy", "sparse_categorical_crossentropy"),
}


def rows_are_apart(layers: Iterable[Any]) -> bool:
    """Whether no layer mixes the rows of a batch, so that further rows change nothing."""
    return all(
        type(layer).__name__ in _ROW_BY_ROW
        and _leaves_first_axis(layer)
        and getattr(layer, "activity_regularizer", None) is None
        and not getattr(layer, "halting", False)
        and not draws(layer)
        for layer in layers
    )


def _leaves_first_axis(layer: Any) -> bool:
    """Whether a layer that is given axes computes along others than that of the rows."""
    held = vars(layer)
    axes = held.get("axis", -1)
    axes = axes if isinstance(axes, (list, tuple)) else [axes]
    is_other = all(axis is not None and (axis > 0 or axis == -1) for axis in axes)
    # A function may have been given any axis.
    return is_other and not any(isinstance(v, functools.partial) for v in held.values())


def has_padding(inputs: Sequence[np.ndarray]) -> bool:
    """Whether at least a tenth of some ids is padding."""
    zeros = sum(array.size - np.count_nonzero(array) for array in inputs)
    return bool(10 * zeros >= sum(array.size for array in inputs))


def hides_masked(metric: Any) -> bool:
    """Whether a metric, or what names one, leaves out what a mask on the outputs hides."""
    if metric is None or isinstance(metric, str):
        return metric is None or metric in _HIDING
    kind = keras.metrics.MeanMetricWrapper
    return isinstance(metric, kind) and type(metric).update_state is kind.update_state


class _Masked(keras.layers.Layer):
    """Puts a mask on what it is given."""

    def __init__(self, mask: Any) -> None:
        super().__init__(autocast=False, name="filled_rows")
        self.mask = mask
        self.supports_masking = True

    def call(self, inputs: Tensor) -> Tensor:
        return inputs

    def compute_mask(self, inputs: Tensor, mask: Any = None) -> Any:
        return self.mask


def are_rows(x: Any) -> Tensor:
    """Which rows of a batch were not filled in, whose first id would be -1: (batch,) booleans."""
    first = keras.tree.flatten(x)[0]
    return keras.ops.reshape(first, (keras.ops.shape(first)[0], -1))[:, 0] >= 0


def masked(outputs: Any, rows: Tensor) -> Any:
    """Outputs with a mask on them.

    Args:
        outputs: Tensors, (batch, ...), in any structure.
        rows: (batch,) booleans, False for the rows that were filled in.
    """
    return keras.tree.map_structure(_Masked(rows), outputs)
