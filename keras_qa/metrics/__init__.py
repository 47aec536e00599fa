"""Metrics of answers: exact match and F1, as the SQuAD evaluations compute them."""

from keras_qa.metrics.answers import exact_match, f1, normalize_answer
from keras_qa.metrics.official import squad, squad_in_order

__all__ = ["exact_match", "f1", "normalize_answer", "squad", "squad_in_order"]
