"""Settings of decoding that fit validation data best."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from keras_qa import metrics
from keras_qa.example import Example
from keras_qa.preprocessing.calibration import (
    FOLDS,
    expected_calibration_error,
    fit_temperature,
)
from keras_qa.preprocessing.confidence import fit_logistic
from keras_qa.preprocessing.decoder import NO_ANSWER_WEIGHTS, SpanDecoder, Spans
from keras_qa.preprocessing.preprocessor import Options, RankedAnswers
from keras_qa.preprocessing.span_answers import (
    best_texts,
    no_answer_features,
    rank_answers,
    select_spans,
    weigh_no_answer,
)
from keras_qa.preprocessing.window_words import WindowOutputs

# Candidates for `max_answer_words`. The best one on validation data is used.
LIMITS = (5, 8, 10, 15, 20, 30, 50)

# Candidates for `span_threshold`.
SPAN_THRESHOLDS = tuple(step / 50 for step in range(1, 26))

# F1 that the threshold of no answer may lose in order to answer more.
THRESHOLD_LOSS = 0.01


def fit_decoder(
    decoder: SpanDecoder,
    outputs: WindowOutputs,
    spans: np.ndarray,
    examples: list[Example],
    options: Options,
    max_spans: int,
) -> tuple[SpanDecoder, dict[str, float]]:
    """Fits `max_answer_words`, the temperature and the thresholds of a decoder.

    Those among `options` are not fitted, nor those of no answer if every example has an answer. The
    temperature is 1.0 unless another one lowers the expected calibration error, and increases the
    likelihood of right answers in a five-fold cross-validation. If an example has `all_spans`, the
    temperature is 1.0, and `span_threshold` is fitted. Returns the decoder, and what
    `Preprocessor.calibrate` returns.
    """
    threshold = options.get("no_answer_threshold")
    if decoder.no_answer and threshold is not None:
        decoder = dataclasses.replace(decoder, no_answer_threshold=threshold)
    # Answerable examples alone tell nothing about texts without an answer.
    has_unanswerable = any(not item.answers for item in examples)
    fits_no_answer = decoder.no_answer and threshold is None and has_unanswerable
    most = options.get("max_answer_words") or _best_limit(decoder, outputs, examples)
    decoder = dataclasses.replace(decoder, max_answer_words=most)
    # The fit makes any one of several right answers likely, but of a set all must be.
    has_sets = any(item.all_spans for item in examples)
    temperature = 1.0 if has_sets else fit_temperature(outputs, spans, decoder, FOLDS)
    fitted = []
    for candidate in dict.fromkeys((1.0, temperature)):
        tried = dataclasses.replace(decoder, temperature=candidate)
        best = tried(*outputs[:4], 1, outputs.word_sizes)
        if fits_no_answer:
            weights = fit_no_answer_weights(best, examples)
            tried = dataclasses.replace(tried, no_answer_weights=weights)
        best = weigh_no_answer(best, tried, examples)
        if fits_no_answer:
            threshold = _best_threshold(best, examples, tried)
            tried = dataclasses.replace(tried, no_answer_threshold=threshold)
        answers = [row[0] for row in rank_answers(best, examples, tried, 1)]
        right = [
            metrics.exact_match(answer.text, item.answers or ("",))
            for answer, item in zip(answers, examples, strict=True)
        ]
        scores = np.clip([answer.score for answer in answers], 0.0, 1.0)
        fitted.append((expected_calibration_error(scores, np.array(right)), tried))
    error, decoder = min(fitted, key=lambda pair: pair[0])
    if has_sets:
        best = decoder(*outputs[:4], max_spans, outputs.word_sizes)
        best = weigh_no_answer(best, decoder, examples)
        ranked = rank_answers(best, examples, decoder, max_spans)
        lowest = _best_span_threshold(ranked, examples, decoder.span_threshold)
        decoder = dataclasses.replace(decoder, span_threshold=lowest)
    return decoder, {
        "temperature": decoder.temperature,
        "calibration_error_before": fitted[0][0],
        "calibration_error": error,
    }


def fit_no_answer_weights(spans: Spans, examples: Sequence[Example]) -> tuple[float, float, float]:
    """Finds the `no_answer_weights` of a `SpanDecoder` by a logistic regression.

    `spans` are the best spans of a decoder with the default weights, close to which the fit stays
    (Kamath et al. 2020, arXiv:2006.09462: a classifier decides when a reader is right).
    """
    is_empty = np.array([not item.answers for item in examples], "float64")
    own, is_missing = no_answer_features(spans, examples)
    features = np.stack([own, np.ones(len(own)), is_missing], axis=1)
    weights = fit_logistic(features, is_empty, NO_ANSWER_WEIGHTS, strength=1.0)
    first, second, third = weights.tolist()
    return first, second, third


def _best_limit(decoder: SpanDecoder, outputs: WindowOutputs, examples: list[Example]) -> int:
    """Returns the `max_answer_words` with the highest F1."""

    def overlap(most: int) -> float:
        free = dataclasses.replace(decoder, max_answer_words=most, no_answer=False)
        texts = best_texts(free(*outputs[:4], 1, outputs.word_sizes), examples, free)
        return sum(
            metrics.f1(text, item.answers)
            for text, item in zip(texts, examples, strict=True)
            if text and item.answers
        )

    # Prefer the current value among equals.
    return max(LIMITS, key=lambda most: (overlap(most), most == decoder.max_answer_words))


def _best_threshold(best: Spans, examples: list[Example], decoder: SpanDecoder) -> float:
    """Returns the highest threshold of no answer whose F1 is at most a point below the best."""
    # Many thresholds have nearly the same F1, and the highest one refuses the fewest answers.
    gains = [
        metrics.f1(text, item.answers) if item.answers else -1.0
        for text, item in zip(best_texts(best, examples, decoder), examples, strict=True)
    ]
    order = np.argsort(best.no_answer, kind="stable")
    # The sum of F1 if the first texts in this order are answered, minus that if none is.
    totals = np.cumsum([0.0, *np.array(gains)[order]])
    edges = np.array([0.0, *best.no_answer[order], 1.0])
    # Equal probabilities are on one side of the threshold.
    ends = np.flatnonzero(edges[:-1] < edges[1:])
    least = totals[ends].max() - THRESHOLD_LOSS * len(examples)
    last = int(ends[totals[ends] >= least][-1])
    return float(edges[last : last + 2].mean())


def _best_span_threshold(ranked: RankedAnswers, examples: list[Example], current: float) -> float:
    """Returns the threshold of several answers with the highest F1 of DROP."""

    def overlap(threshold: float) -> float:
        selected = [select_spans(answers, threshold) for answers in ranked]
        texts = [[answer.text for answer in answers] for answers in selected]
        return metrics.drop(texts, examples)["f1"]

    # Prefer the value closest to the current one among equals.
    return max(SPAN_THRESHOLDS, key=lambda lowest: (overlap(lowest), -abs(lowest - current)))
