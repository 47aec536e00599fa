"""`QAModel`, and factories of compiled models."""

from keras_qa import _backend

_backend.require()

from keras_qa.engine.qa_model import QAModel
from keras_qa.models.classifier import answer_classifier
from keras_qa.models.multiple_choice import multiple_choice
from keras_qa.models.reader import span_reader
from keras_qa.models.stories import memory_network, universal_transformer
from keras_qa.models.text_classifier import text_classifier

__all__ = [
    "QAModel",
    "answer_classifier",
    "memory_network",
    "multiple_choice",
    "span_reader",
    "text_classifier",
    "universal_transformer",
]

_backend.register("models")
