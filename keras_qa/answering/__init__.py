"""Question answering on strings: one question or many, saved texts, files, and documents.

It imports Keras only to train or load a model.
"""

from keras_qa.answering.answerer import QuestionAnswerer
from keras_qa.answering.loading import load, presets
from keras_qa.answering.passage import Passage
from keras_qa.answering.ranker import Ranker
from keras_qa.answering.text_embedder import TextEmbedder
from keras_qa.answering.verification import Verdict, verify

__all__ = [
    "Passage",
    "QuestionAnswerer",
    "Ranker",
    "TextEmbedder",
    "Verdict",
    "load",
    "presets",
    "verify",
]
