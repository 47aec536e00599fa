"""Question answering on strings: one question or many, saved texts, files, and documents.

It imports Keras only to train or load a model.
"""

from keras_qa.answering.encoded_text import EncodedText
from keras_qa.answering.reranker import Reranker
from keras_qa.answering.text_embedder import TextEmbedder
from keras_qa.answering.verification import Verdict

__all__ = [
    "EncodedText",
    "Reranker",
    "TextEmbedder",
    "Verdict",
]
