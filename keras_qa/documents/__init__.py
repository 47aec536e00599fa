"""Splits documents into passages, and indexes and searches them. Needs no backend."""

from keras_qa.documents.document import Document, Hit, Retriever
from keras_qa.documents.gold import hard_negatives
from keras_qa.documents.index import Index

__all__ = ["Document", "Hit", "Index", "Retriever", "hard_negatives"]
