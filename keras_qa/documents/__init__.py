"""Splits documents into passages, and indexes and searches them. Needs no backend."""

from keras_qa.documents.document import Document, Hit, Retriever
from keras_qa.documents.gold import hard_negatives
from keras_qa.documents.index import Index
from keras_qa.documents.vector_search import Encoder

__all__ = ["Document", "Encoder", "Hit", "Index", "Retriever", "hard_negatives"]
