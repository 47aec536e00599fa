"""Losses of supporting sentences and of answer spans, and training metrics of spans."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, TypedDict, Unpack

import keras
from keras import ops

from keras_qa._arguments import to_integer
from keras_qa._numbers import MASKED
from keras_qa.layers.base_layer import DType
from keras_qa.layers.kernels.tensor_types import Tensor


class LossOptions(TypedDict, total=False):
    """Options of `keras.losses.Loss`."""

    reduction: str | None
    dtype: DType


@keras.saving.register_keras_serializable(package="keras_qa")
class SupportLoss(keras.losses.Loss):
    """Binary cross-entropy of supporting sentences, summed over the sentences of a text.

    Labels and predictions may have different widths. Missing columns are padding, with label and
    loss 0.
    """

    def __init__(self, name: str = "support_loss", **kwargs: Unpack[LossOptions]) -> None:
        super().__init__(name=name, **kwargs)

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        # Always padded, then cut: a compiled program may not know which one is shorter.
        width = ops.shape(y_pred)[1]
        y_true = ops.concatenate([ops.cast(y_true, y_pred.dtype), ops.zeros_like(y_pred)], axis=1)
        y_true = y_true[:, :width]
        small = keras.config.epsilon()
        chance = ops.clip(y_pred, small, 1.0 - small)
        losses = y_true * ops.log(chance) + (1.0 - y_true) * ops.log(1.0 - chance)
        return -ops.sum(losses, axis=1)


@keras.saving.register_keras_serializable(package="keras_qa")
class SpanLoss(keras.losses.Loss):
    """Cross-entropy of the start or of the end of an answer over the positions of a text.

    The loss of a `span_reader` is the mean of one for the start and one for the end.

    Args:
        marginal: Whether all correct positions count: minus the logarithm of
            the sum of their probabilities (Clark & Gardner 2018,
            arXiv:1710.10723, section 3.2). Otherwise only the first one does.
        name: Name of the loss.
        **kwargs: `reduction` and `dtype`, as in `keras.losses.Loss`.

    Call arguments:
        y_true: `(batch,)` or `(batch, answers)` correct positions, padded with -1 on the right,
            such as `Windows.spans[..., 0]`.
        y_pred: `(batch, positions)` logits.

    Examples:
        >>> import numpy as np
        >>> from keras_qa.losses import SpanLoss
        >>> logits = np.log([[1.0, 2.0, 5.0]])
        >>> right = np.array([[1, 2, 2, -1]])
        >>> round(float(SpanLoss()(right, logits)), 3)                   # -log(2 / 8)
        1.386
        >>> round(float(SpanLoss(marginal=True)(right, logits)), 3)      # -log(7 / 8)
        0.134
    """

    def __init__(
        self, marginal: bool = False, name: str = "span_loss", **kwargs: Unpack[LossOptions]
    ) -> None:
        super().__init__(name=name, **kwargs)
        self.marginal = marginal

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        right = ops.cast(y_true, "int32")
        right = ops.expand_dims(right, -1) if len(right.shape) == 1 else right
        if not self.marginal:
            right = right[:, :1]
        positions = ops.arange(ops.shape(y_pred)[1], dtype="int32")
        # A repeated position counts once.
        right = ops.any(ops.equal(ops.expand_dims(right, -1), positions), axis=1)
        # Subtracting 1e4 removes the other positions in float32 without infinities.
        inside = ops.logsumexp(ops.where(right, y_pred, y_pred - 1e4), axis=1)
        return ops.logsumexp(y_pred, axis=1) - inside

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "marginal": self.marginal}


@keras.saving.register_keras_serializable(package="keras_qa")
class DistillationLoss(keras.losses.Loss):
    """How far the logits of a student are from those of a teacher, and from the right position.

    `weight * temperature**2` times the Kullback-Leibler divergence between the softmax of the
    teacher's and of the student's logits, both divided by the temperature, plus `1 - weight` times
    the cross-entropy of the right position (Hinton, Vinyals and Dean 2015, arXiv:1503.02531,
    section 2). Rows that lack one of both have the other in full.

    `y_true`, `(batch, 1 + positions)`, has the right position, or -1, and the logits of the
    teacher. Missing logits are -1e9, and so are missing columns. `y_pred` has the logits, `(batch,
    positions)`.
    """

    def __init__(
        self,
        temperature: float = 2.0,
        weight: float = 0.7,
        name: str = "distillation_loss",
        **kwargs: Unpack[LossOptions],
    ) -> None:
        super().__init__(name=name, **kwargs)
        self.temperature = temperature
        self.weight = weight

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        y_true = ops.cast(y_true, y_pred.dtype)
        right = ops.cast(y_true[:, :1], "int32")
        # Always padded, then cut: a compiled program may not know which one is shorter.
        missing = ops.full_like(y_pred, MASKED)
        teacher = ops.concatenate([y_true[:, 1:], missing], axis=1)[:, : ops.shape(y_pred)[1]]
        expected = ops.log_softmax(teacher / self.temperature, axis=1)
        own = ops.log_softmax(y_pred / self.temperature, axis=1)
        divergence = ops.sum(ops.exp(expected) * (expected - own), axis=1)
        logit = ops.take_along_axis(y_pred, ops.maximum(right, 0), axis=1)[:, 0]
        crossentropy = ops.logsumexp(y_pred, axis=1) - logit
        is_labelled = right[:, 0] >= 0
        is_taught = ops.max(teacher, axis=1) > MASKED / 2
        share = ops.where(is_labelled, self.weight, 1.0)
        share = ops.cast(ops.where(is_taught, share, 0.0), y_pred.dtype)
        return share * self.temperature**2 * divergence + (1.0 - share) * crossentropy

    def get_config(self) -> dict[str, Any]:
        config = {"temperature": self.temperature, "weight": self.weight}
        return {**super().get_config(), **config}


class MetricOptions(TypedDict, total=False):
    """Options of `keras.metrics.Metric`."""

    dtype: DType


class _SpanMetric(keras.metrics.Metric):
    """The mean over windows of the best `compare` of the predicted span with a correct one."""

    default_name: ClassVar[str]

    def __init__(
        self,
        max_positions: int = 30,
        name: str | None = None,
        num_types: int = 0,
        **kwargs: Unpack[MetricOptions],
    ) -> None:
        super().__init__(name=name or self.default_name, **kwargs)
        self.max_positions = to_integer("max_positions", max_positions)
        self.num_types = to_integer("num_types", num_types, least=0)
        self.total = self.add_variable((), "zeros", name="total")
        self.count = self.add_variable((), "zeros", name="count")

    def update_state(
        self,
        y_true: Mapping[str, Tensor],
        y_pred: Mapping[str, Tensor],
        sample_weight: Tensor | Mapping[str, Tensor] | None = None,
    ) -> None:
        firsts, lasts = (_columns(y_true[name]) for name in ("start", "end"))
        logits = y_pred["start"], y_pred["end"]
        first, last = best_span(*logits, self.max_positions, self.num_types)
        scores = self.compare(ops.expand_dims(first, 1), ops.expand_dims(last, 1), firsts, lasts)
        scores = ops.max(ops.where(firsts >= 0, scores, 0.0), axis=1)
        weights = ops.ones_like(scores)
        if sample_weight is not None:
            # One weight for each example, or a dict with the same weights for both outputs.
            if isinstance(sample_weight, Mapping):
                sample_weight = sample_weight["start"]
            weights = ops.cast(ops.reshape(sample_weight, (-1,)), scores.dtype)
        self.total.assign_add(ops.sum(scores * weights))
        self.count.assign_add(ops.sum(weights))

    def compare(self, first: Tensor, last: Tensor, firsts: Tensor, lasts: Tensor) -> Tensor:
        raise NotImplementedError

    def result(self) -> Tensor:
        return ops.divide_no_nan(self.total, self.count)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "max_positions": self.max_positions,
            "num_types": self.num_types,
        }


@keras.saving.register_keras_serializable(package="keras_qa")
class SpanExactMatch(_SpanMetric):
    """The share of windows in which start and end of the predicted span are correct.

    Args:
        max_positions: Highest number of positions of a span.
        name: Name of the metric.
        num_types: Number of `answer_types` of the `layers.SpanHead`.
        **kwargs: `dtype`, as in `keras.metrics.Metric`.

    Call arguments:
        y_true: A dict of `start` and `end`, `(batch,)` or `(batch, answers)` correct positions,
            padded with -1 on the right. Position 0 stands for no answer.
        y_pred: A dict of `start` and `end`, `(batch, positions)` logits.
        sample_weight: `(batch,)`, or `None`.

    Examples:
        >>> import numpy as np
        >>> from keras_qa.losses import SpanExactMatch
        >>> metric = SpanExactMatch()
        >>> logits = {"start": np.eye(4)[[1, 2]], "end": np.eye(4)[[2, 2]]}
        >>> metric.update_state({"start": np.array([1, 1]), "end": np.array([2, 2])}, logits)
        >>> float(metric.result())
        0.5
    """

    default_name = "span_exact_match"

    def compare(self, first: Tensor, last: Tensor, firsts: Tensor, lasts: Tensor) -> Tensor:
        same = ops.logical_and(ops.equal(first, firsts), ops.equal(last, lasts))
        return ops.cast(same, "float32")


@keras.saving.register_keras_serializable(package="keras_qa")
class SpanF1(_SpanMetric):
    """The F1 of the positions of the predicted span and of the most similar correct span.

    Arguments and call arguments are those of `SpanExactMatch`.

    Examples:
        >>> import numpy as np
        >>> from keras_qa.losses import SpanF1
        >>> metric = SpanF1()
        >>> logits = {"start": np.eye(4)[[1]], "end": np.eye(4)[[2]]}
        >>> metric.update_state({"start": np.array([2]), "end": np.array([2])}, logits)
        >>> round(float(metric.result()), 3)            # precision 1/2, recall 1
        0.667
    """

    default_name = "span_f1"

    def compare(self, first: Tensor, last: Tensor, firsts: Tensor, lasts: Tensor) -> Tensor:
        shared = ops.minimum(last, lasts) - ops.maximum(first, firsts) + 1
        lengths = (last - first + 1) + (lasts - firsts + 1)
        return 2.0 * ops.cast(ops.maximum(shared, 0), "float32") / ops.cast(lengths, "float32")


def best_span(
    start: Tensor, end: Tensor, max_positions: int, num_types: int = 0
) -> tuple[Tensor, Tensor]:
    """First and last position of the span with the highest sum of logits in each row.

    The first `num_types + 1` positions are spans of their own: no answer, and types of answers.
    """
    positions = ops.shape(start)[1]
    start, end = ops.cast(start, "float32"), ops.cast(end, "float32")
    # Distances from the first to the last position.
    reach = ops.arange(max_positions, dtype="int32")
    first = ops.expand_dims(ops.arange(positions, dtype="int32"), 1)
    last = first + reach
    is_span = ops.logical_and(last < positions, ops.logical_or(first > num_types, reach == 0))
    ends = ops.take(end, ops.minimum(last, positions - 1), axis=1)
    ends = ops.where(is_span, ends, -1e30)
    scores = start + ops.max(ends, axis=2)
    first = ops.cast(ops.argmax(scores, axis=1), "int32")
    rows = ops.take_along_axis(ends, ops.reshape(first, (-1, 1, 1)), axis=1)[:, 0]
    return first, first + ops.cast(ops.argmax(rows, axis=1), "int32")


def _columns(labels: Tensor) -> Tensor:
    labels = ops.cast(labels, "int32")
    return ops.expand_dims(labels, -1) if len(labels.shape) == 1 else labels
