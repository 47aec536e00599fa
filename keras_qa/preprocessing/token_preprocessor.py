"""Answers as the tokens of the text that a classifier labels as inside an answer."""

from __future__ import annotations

import dataclasses
import sys
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from keras_qa.decoding.decoder import MASKED, Spans
from keras_qa.decoding.token_runs import find_runs
from keras_qa.example import Example
from keras_qa.preprocessing.ask_options import Model, RankedAnswers, Verbose
from keras_qa.preprocessing.span_preprocessor import SpanPreprocessor, make_feed
from keras_qa.text import Windows

# The label of special tokens and padding, which the loss ignores, as in `transformers`.
IGNORED = -100


class TokenPreprocessor(SpanPreprocessor):
    """Answers with the runs of tokens that a classifier labels as inside an answer.

    For token classifiers with two labels: 0 is outside, 1 inside, see `models.encoder_classifier`.
    Several spans need no threshold: each run is an answer. Of the decoder's settings, only
    `whole_words` and those of no answer apply.
    """

    name: ClassVar[str] = "tokens"
    description: ClassVar[str] = "labels the tokens of the text"

    def make_training_data(self, model: Model, examples: list[Example]) -> tuple[Any, Any]:
        """Returns inputs and labels for `fit`. Of alternative answers the first one is inside."""
        if not examples:
            raise ValueError("`examples` is empty. Give at least one to train on.")
        sets = [
            item
            if item.all_spans
            else dataclasses.replace(
                item, answers=item.answers[:1], answer_start=item.answer_start[:1]
            )
            for item in examples
        ]
        windows = self.vectorizer(sets, labels=True)
        return make_feed(model, windows), label_tokens(windows)

    def answer_all(
        self, model: Model, examples: list[Example], batch_size: int, verbose: Verbose
    ) -> RankedAnswers:
        """Returns all spans that answer each example, best first."""
        ranked = self.answer(model, examples, sys.maxsize, batch_size, verbose)
        return [[answer for answer in answers if answer.text] for answers in ranked]

    def read_windows(
        self, model: Model, windows: Windows, batch_size: int
    ) -> tuple[np.ndarray, ...]:
        """Returns the logits of "inside", twice, and the further arguments of a decoder."""
        outputs = model.predict(make_feed(model, windows), batch_size=batch_size, verbose=0)
        inside = np.full(windows.words.shape[:2], MASKED, "float32")
        inside[:, : outputs.shape[1]] = outputs[..., 1] - outputs[..., 0]
        places = windows.words if self.decoder.whole_words else windows.offsets
        return inside, inside, places, windows.example, windows.word_sizes

    def _decode(self, parts: list[np.ndarray], count: int) -> Spans:
        inside, _, words, example, _ = parts
        found = find_runs(inside, words, example)
        start, end, score = (part[:, :count] for part in found[:3])
        return Spans(start, end, score, found.no_answer, found.answer_types)  # type: ignore[arg-type]


def label_tokens(windows: Windows) -> npt.NDArray[np.int32]:
    """Labels the positions of windows with spans: 1 inside an answer, 0 outside, -100 elsewhere."""
    assert windows.spans is not None
    position = np.arange(windows.words.shape[1])
    first, last = windows.spans[..., :1], windows.spans[..., 1:]
    labels = ((first > 0) & (position >= first) & (position <= last)).any(axis=1).astype("int32")
    labels[windows.words[..., 0] < 0] = IGNORED
    return labels
