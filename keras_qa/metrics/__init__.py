"""Exact match, F1 and the official scores of SQuAD."""

from keras_qa.metrics.answers import exact_match, f1, normalize_answer
from keras_qa.metrics.official import squad

__all__ = ["exact_match", "f1", "normalize_answer", "squad"]
