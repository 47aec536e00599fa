"""Splits documents into passages, and indexes and searches them. Needs no backend."""

from keras_qa.documents.document import Document, Passage, Retriever
from keras_qa.documents.gold import hard_negatives
from keras_qa.documents.index import Index

__all__ = ["Document", "Index", "Passage", "Retriever", "hard_negatives"]
