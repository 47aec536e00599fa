"""Losses, training metrics and a learning rate schedule."""

from keras_qa import _backend

_backend.require()

from keras_qa.losses.schedules import WarmupLinearDecay
from keras_qa.losses.span_losses import SpanExactMatch, SpanF1, SpanLoss

__all__ = [
    "SpanExactMatch",
    "SpanF1",
    "SpanLoss",
    "WarmupLinearDecay",
]

_backend.register("losses")
