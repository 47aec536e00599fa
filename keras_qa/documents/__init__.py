"""Splits documents into passages, and indexes and searches them. Needs no backend."""

from keras_qa.documents.document import Document, Hit
from keras_qa.documents.folder import Changes, Unreadable
from keras_qa.documents.index import Index
from keras_qa.documents.passages import Part, passages
from keras_qa.documents.retriever import Retriever
from keras_qa.documents.vector_search import Encoder

__all__ = [
    "Changes",
    "Document",
    "Encoder",
    "Hit",
    "Index",
    "Part",
    "Retriever",
    "Unreadable",
    "passages",
]
