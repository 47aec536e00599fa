"""Data sets as lists of `Example`. Nothing here needs a backend."""

from keras_qa.datasets import augmentation, babi, mctest, squad, tables, unanswerable

__all__ = ["augmentation", "babi", "mctest", "squad", "tables", "unanswerable"]
