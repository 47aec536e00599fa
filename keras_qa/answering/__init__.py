"""Question answering on strings: one question or many, saved texts, files, and documents.

It imports Keras only to train or load a model.
"""

from keras_qa.answering.answerer import QuestionAnswerer
from keras_qa.answering.encoded_text import EncodedText
from keras_qa.answering.loading import load, presets
from keras_qa.answering.reranker import Reranker
from keras_qa.answering.text_embedder import TextEmbedder
from keras_qa.answering.verification import Verdict, verify

__all__ = [
    "EncodedText",
    "QuestionAnswerer",
    "Reranker",
    "TextEmbedder",
    "Verdict",
    "load",
    "presets",
    "verify",
]
