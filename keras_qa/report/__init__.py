"""Reports of answers: scores, groups of questions, calibration and errors, as an HTML page."""

from keras_qa import _backend

_backend.require()

from keras_qa.report import plots
from keras_qa.report.evaluation import Report, evaluate, judge
from keras_qa.report.findings import Bin, Findings, Group, JudgedAnswer, Point
from keras_qa.report.index_evaluation import evaluate_asking

__all__ = [
    "Bin",
    "Findings",
    "Group",
    "JudgedAnswer",
    "Point",
    "Report",
    "evaluate",
    "evaluate_asking",
    "judge",
    "plots",
]
