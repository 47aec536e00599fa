"""Losses, training metrics and a learning rate schedule."""

from keras_qa import _backend

_backend.require()

from keras_qa.losses.schedules import WarmupLinearDecay
from keras_qa.losses.span_losses import SpanLoss
from keras_qa.losses.span_metrics import SpanExactMatch, SpanF1

__all__ = [
    "SpanExactMatch",
    "SpanF1",
    "SpanLoss",
    "WarmupLinearDecay",
]

_backend.register("losses")
