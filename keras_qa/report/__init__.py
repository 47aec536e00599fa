"""What goes wrong, on one page, and pictures of it."""

from keras_qa import _backend

_backend.require()

from keras_qa.report import plots
from keras_qa.report.evaluation import Report, about_spans, evaluate, judge
from keras_qa.report.findings import Bin, Findings, Group, Judged

__all__ = [
    "Bin",
    "Findings",
    "Group",
    "Judged",
    "Report",
    "about_spans",
    "evaluate",
    "judge",
    "plots",
]
