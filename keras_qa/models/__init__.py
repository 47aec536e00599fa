"""Models: factories that give a compiled `QAModel`."""

from keras_qa.models.base import QAModel
from keras_qa.models.classifier import answer_classifier

__all__ = ["QAModel", "answer_classifier"]
