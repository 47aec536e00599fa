"""Data sets as lists of `Example`. Nothing here needs a backend."""

from keras_qa.datasets import babi, tables

__all__ = ["babi", "tables"]
