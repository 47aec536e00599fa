"""`QAModel`, and factories of compiled models."""

from keras_qa import _backend

_backend.require()

from keras_qa.engine.qa_model import QAModel
from keras_qa.models.choice_ranker import choice_ranker
from keras_qa.models.classifier import answer_classifier
from keras_qa.models.encoder_classifier import encoder_classifier
from keras_qa.models.pretrained import save_pretrained
from keras_qa.models.reader import SpanReader, span_reader
from keras_qa.models.stories import memory_network, universal_transformer

__all__ = [
    "QAModel",
    "SpanReader",
    "answer_classifier",
    "choice_ranker",
    "encoder_classifier",
    "memory_network",
    "save_pretrained",
    "span_reader",
    "universal_transformer",
]

_backend.register("models")
