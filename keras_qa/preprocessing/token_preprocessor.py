"""Answers as the tokens of the text that a classifier labels as inside an answer."""

from __future__ import annotations

import itertools
import sys
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from keras_qa._numbers import sigmoid
from keras_qa.example import Example
from keras_qa.preprocessing.decoder import Spans
from keras_qa.preprocessing.preprocessor import Model, Preprocessor, select_inputs
from keras_qa.preprocessing.span_preprocessor import SpanPreprocessor
from keras_qa.preprocessing.window_words import WindowOutputs, check_logits

# The label of special tokens and padding, which the loss ignores, as in `transformers`.
IGNORED = -100


class TokenPreprocessor(SpanPreprocessor):
    """Answers with the runs of words that a classifier labels as inside an answer.

    For token classifiers with two labels: 0 is outside, 1 inside. Each run is an answer, so several
    spans need no threshold (Segal et al. 2020, arXiv:1909.13375). Of the decoder's settings, only
    `whole_words` and those of no answer apply.

    The probability of a word is the mean over its pieces in all windows. A word is inside if this
    is above 0.5, and the score of a run is the mean over its words. The probability of no answer is
    1 minus that of the likeliest word.
    """

    name = "tokens"
    description = "labels the tokens of the text"
    # Its scores are means over words, which several passages do not share.
    compares_passages = False
    exported_as = "token_classification"
    max_spans: ClassVar[int] = sys.maxsize

    def make_training_data(self, model: Model, examples: list[Example]) -> tuple[Any, Any]:
        # All answers are inside, alternatives too.
        windows, spans = self.make_labels(examples)
        position = np.arange(windows.words.shape[1])
        first, last = spans[..., :1], spans[..., 1:]
        is_inside = (first > 0) & (position >= first) & (position <= last)
        labels = is_inside.any(axis=1).astype("int32")
        labels[windows.words[..., 0] < 0] = IGNORED
        return select_inputs(model, windows.feed), labels

    # A model that labels tokens needs no threshold.
    calibrate = Preprocessor.calibrate

    def _to_logits(self, outputs: Any) -> tuple[np.ndarray, np.ndarray]:
        inside = outputs[..., 1] - outputs[..., 0]
        return inside, inside

    def _decode(self, outputs: WindowOutputs, count: int) -> Spans:
        logits = check_logits(outputs)
        edges = itertools.pairwise([*logits.firsts, len(logits.start)])
        texts = [slice(*edge) for edge in edges]
        runs, no_answer = zip(
            *(find_runs(logits.start[rows], logits.offsets[rows]) for rows in texts), strict=True
        )
        shape = len(runs), max(map(len, runs))
        start, end = np.full((2, *shape), -1, "int32")
        score, types = np.zeros(shape), np.zeros((len(runs), 0))
        for row, text_runs in enumerate(runs):
            for column, run in enumerate(text_runs):
                start[row, column], end[row, column], score[row, column] = run
        return Spans(start, end, score, np.array(no_answer), types)


def find_runs(
    inside: npt.NDArray[np.floating], words: npt.NDArray[np.integer]
) -> tuple[list[tuple[int, int, float]], float]:
    """Returns start, end and score of each run of a text, best first, and its no-answer score."""
    # `inside`, `(windows, positions)`, is the logit of "inside" minus that of "outside".
    begins, ends = words[words[..., 0] >= 0].T
    begins, firsts, word = np.unique(begins, return_index=True, return_inverse=True)
    values = inside[words[..., 0] >= 0].astype("float64")
    chance = np.bincount(word, sigmoid(values)) / np.bincount(word)
    edges = np.flatnonzero(np.diff(chance > 0.5, prepend=False, append=False)).tolist()
    runs = [
        (int(begins[first]), int(ends[firsts[last - 1]]), float(chance[first:last].mean()))
        for first, last in zip(edges[::2], edges[1::2], strict=True)
    ]
    return sorted(runs, key=lambda run: -run[2]), 1.0 - float(chance.max(initial=0.0))
