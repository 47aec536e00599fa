"""Data sets as lists of `Example` objects. They need no backend."""

from keras_qa.data import augmentation, babi, mctest, squad, tables, unanswerable

__all__ = ["augmentation", "babi", "mctest", "squad", "tables", "unanswerable"]
