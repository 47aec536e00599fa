"""Data sets as lists of `Example`. Nothing here needs a backend."""

from keras_qa.datasets import babi, mctest, squad, tables

__all__ = ["babi", "mctest", "squad", "tables"]
