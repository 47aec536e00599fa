"""Losses, training metrics, a learning rate schedule and an optimizer."""

from keras_qa import _backend

_backend.require()

from keras_qa.objectives.layer_decay import LayerDecayAdamW
from keras_qa.objectives.losses import SpanLoss, SupportLoss
from keras_qa.objectives.metrics import SpanExactMatch, SpanF1
from keras_qa.objectives.schedules import WarmupLinearDecay

__all__ = [
    "LayerDecayAdamW",
    "SpanExactMatch",
    "SpanF1",
    "SpanLoss",
    "SupportLoss",
    "WarmupLinearDecay",
]
