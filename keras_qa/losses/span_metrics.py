"""Training metrics of spans, computed from positions instead of strings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, TypedDict, Unpack

import keras
from keras import ops

from keras_qa._arguments import to_integer
from keras_qa.layers.base_layer import DType
from keras_qa.layers.kernels.tensor_types import Tensor


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

    Args:
        max_positions: Highest number of positions of a span.
        name: Name of the metric.
        num_types: Number of `answer_types` of the `layers.SpanHead`.
        **kwargs: `dtype`, as in `keras.metrics.Metric`.

    Call arguments: as in `SpanExactMatch`.

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
