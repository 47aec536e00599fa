"""Reports of answers: scores, groups of questions, calibration and errors, as an HTML page."""

from keras_qa.report import plots
from keras_qa.report.evaluation import evaluate, judge
from keras_qa.report.page import Report

__all__ = ["Report", "evaluate", "judge", "plots"]
