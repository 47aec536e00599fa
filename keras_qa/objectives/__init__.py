"""Losses, training metrics and a learning rate schedule."""

from keras_qa import _backend

_backend.require()

from keras_qa.objectives.losses import SpanLoss, SupportLoss
from keras_qa.objectives.metrics import SpanExactMatch, SpanF1
from keras_qa.objectives.schedules import WarmupLinearDecay

__all__ = [
    "SpanExactMatch",
    "SpanF1",
    "SpanLoss",
    "SupportLoss",
    "WarmupLinearDecay",
]

_backend.register("objectives")
