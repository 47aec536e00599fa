"""Exact match, F1 and the official scores of SQuAD and DROP."""

from keras_qa.metrics.answers import exact_match, f1
from keras_qa.metrics.official import squad
from keras_qa.metrics.span_sets import drop

__all__ = ["drop", "exact_match", "f1", "squad"]
