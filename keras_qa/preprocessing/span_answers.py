"""Decoded spans to answers, and the settings of a decoder that fit validation data best."""

from __future__ import annotations

import dataclasses

import numpy as np

from keras_qa import decoding, metrics
from keras_qa.decoding import SpanDecoder
from keras_qa.example import Answer, Example
from keras_qa.preprocessing.ask_options import Ranked
from keras_qa.preprocessing.window_logits import answer_places
from keras_qa.text import Windows

# Candidates for `max_answer_words`. The best one on validation data is used.
LIMITS = (5, 8, 10, 15, 20, 30, 50)


def rank_answers(
    spans: decoding.Spans, examples: list[Example], decoder: SpanDecoder, count: int
) -> Ranked:
    """Returns the answers to each example, with "no answer" at its place."""
    ranked = []
    for row, item in enumerate(examples):
        text, nothing = item.plain_text, float(spans.no_answer[row])
        answers = [
            Answer(text[start:end], float(score), int(start), int(end))
            for start, end, score in zip(
                spans.start[row], spans.end[row], spans.score[row], strict=True
            )
            if start >= 0
        ]
        if decoder.no_answer or not answers:
            none = Answer("", nothing)
            first = nothing > decoder.threshold or not answers
            place = 0 if first else max(1, sum(answer.score >= nothing for answer in answers))
            answers.insert(place, none)
        ranked.append(answers[:count])
    return ranked


def best_texts(spans: decoding.Spans, examples: list[Example]) -> list[str]:
    """Returns the text of the best span of each example, empty if there is no span."""
    return [
        item.plain_text[start:end] if start >= 0 else ""
        for item, start, end in zip(examples, spans.start[:, 0], spans.end[:, 0], strict=True)
    ]


def best_limit(
    decoder: SpanDecoder,
    logits: tuple[np.ndarray, np.ndarray],
    windows: Windows,
    examples: list[Example],
) -> int:
    """Returns the `max_answer_words` with the most right answers."""
    places, sizes = answer_places(windows, decoder)

    def right(most: int) -> float:
        free = dataclasses.replace(decoder, max_answer_words=most, no_answer=False)
        best = free(*logits, places, windows.example, 1, sizes)
        texts = zip(best_texts(best, examples), examples, strict=True)
        return sum(
            metrics.exact_match(text, item.answers) for text, item in texts if text and item.answers
        )

    # Prefer the current value among equals.
    return max(LIMITS, key=lambda most: (right(most), most == decoder.max_answer_words))


def find_threshold(best: decoding.Spans, examples: list[Example]) -> float:
    """Returns the threshold with the highest F1, by the official script of SQuAD 2.0."""
    answers = best_texts(best, examples)
    scores = metrics.squad(answers, examples, "2.0", best.no_answer.tolist())
    return min(scores["best_f1_thresh"], 1.0)
