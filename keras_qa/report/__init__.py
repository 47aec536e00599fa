"""What goes wrong, on one page, and pictures of it."""

from keras_qa import _backend

_backend.require()

from keras_qa.report import plots
from keras_qa.report.asking import evaluate_asking
from keras_qa.report.evaluation import Report, about_spans, evaluate, judge
from keras_qa.report.findings import Bin, Findings, Group, Judged, Point

__all__ = [
    "Bin",
    "Findings",
    "Group",
    "Judged",
    "Point",
    "Report",
    "about_spans",
    "evaluate",
    "evaluate_asking",
    "judge",
    "plots",
]
