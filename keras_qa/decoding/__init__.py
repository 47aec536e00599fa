"""Decoding of logits to spans, and calibration. It needs no backend."""

from keras_qa.decoding.calibration import expected_calibration_error, fit_temperature
from keras_qa.decoding.decoder import SpanDecoder
from keras_qa.decoding.selective import risk_coverage

__all__ = [
    "SpanDecoder",
    "expected_calibration_error",
    "fit_temperature",
    "risk_coverage",
]
