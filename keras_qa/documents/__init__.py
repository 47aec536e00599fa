"""From documents to passages, and an index of them to be searched. No backend is needed."""

from keras_qa.documents.document import Document, Hit
from keras_qa.documents.folder import Changes, Unreadable
from keras_qa.documents.index import Index
from keras_qa.documents.passages import Part, passages
from keras_qa.documents.retriever import Retriever
from keras_qa.documents.vectors import Encoder

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
