"""What goes wrong, on one page, and pictures of it."""

from keras_qa import _backend

_backend.require()

from keras_qa.report import plots
from keras_qa.report.evaluation import (
    Bin,
    Group,
    Judged,
    Report,
    about_spans,
    evaluate,
    judge,
)

__all__ = ["Bin", "Group", "Judged", "Report", "about_spans", "evaluate", "judge", "plots"]
