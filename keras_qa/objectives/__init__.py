"""Losses, training metrics, learning rate schedules, a callback and an optimizer."""

from keras_qa import _backend

_backend.require()

from keras_qa.objectives.layer_decay import LayerDecayAdamW
from keras_qa.objectives.losses import SpanLoss, SupportLoss
from keras_qa.objectives.metrics import SpanExactMatch, SpanF1
from keras_qa.objectives.schedules import AccumulatedSchedule, LinearStart, WarmupLinearDecay

__all__ = [
    "AccumulatedSchedule",
    "LayerDecayAdamW",
    "LinearStart",
    "SpanExactMatch",
    "SpanF1",
    "SpanLoss",
    "SupportLoss",
    "WarmupLinearDecay",
]
