"""Decoding of model outputs to words and spans, and calibration. It needs no backend."""

from keras_qa.decoding.calibration import (
    expected_calibration_error,
    fit_retrieval,
    fit_temperature,
)
from keras_qa.decoding.decoder import SpanDecoder
from keras_qa.decoding.mentions import find_mention, top_k
from keras_qa.decoding.selective import (
    CONFIDENCE,
    Coverage,
    precision_bounds,
    precision_thresholds,
    risk_coverage,
)
from keras_qa.decoding.span_search import Spans, top_spans

__all__ = [
    "CONFIDENCE",
    "Coverage",
    "SpanDecoder",
    "Spans",
    "expected_calibration_error",
    "find_mention",
    "fit_retrieval",
    "fit_temperature",
    "precision_bounds",
    "precision_thresholds",
    "risk_coverage",
    "top_k",
    "top_spans",
]
