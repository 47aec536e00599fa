"""Strings in, answers out: one question, many, a text that is asked again, files of questions."""

from keras_qa import _backend

_backend.require()

from keras_qa.answering import files
from keras_qa.answering.answerer import QuestionAnswerer
from keras_qa.answering.loading import load
from keras_qa.answering.passage import Passage
from keras_qa.answering.preset_files import presets
from keras_qa.answering.sentence_encoder import SentenceEncoder

__all__ = ["Passage", "QuestionAnswerer", "SentenceEncoder", "files", "load", "presets"]
