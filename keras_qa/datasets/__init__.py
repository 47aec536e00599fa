"""Data sets as lists of `Example`. Nothing here needs a backend."""

from keras_qa.datasets import babi, squad, tables

__all__ = ["babi", "squad", "tables"]
