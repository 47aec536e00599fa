"""All spans that answer a question, with a model that gives each word a probability."""

from __future__ import annotations

import dataclasses
import types

import numpy as np
import pytest

from keras_qa import Answer, Example, metrics
from keras_qa.preprocessing import SpanDecoder, SpanPreprocessor
from keras_qa.preprocessing.span_preprocessor import select_spans
from keras_qa.text import Windower, WordTokenizer

TOKENIZER = WordTokenizer.train(["Ann Bob met Cat Rome , Oslo Lima"])


class Masses:
    """A model for answers of one word: spans have the probabilities of a table."""

    inputs = (types.SimpleNamespace(name="text"), types.SimpleNamespace(name="question"))

    def __init__(self, nothing: float = 1e-9, **masses: float) -> None:
        masses = {word.lower(): mass for word, mass in masses.items()}
        known = [masses.get(word, 1e-9) for word in TOKENIZER.vocabulary]
        self.masses, self.nothing = np.log(np.array(known, "float32")), np.log(nothing)

    def predict(self, x, batch_size=None, verbose="auto"):
        start = np.pad(self.masses[x["text"]], [(0, 0), (1, 0)], constant_values=self.nothing)
        return {"start": start, "end": np.zeros_like(start)}


def preprocessor(**options) -> SpanPreprocessor:
    return SpanPreprocessor(Windower(TOKENIZER), SpanDecoder(max_answer_words=1, **options))


def texts(model: Masses, text: str, **options) -> list[str]:
    [found] = preprocessor(**options).answer_all(model, [Example(text, "Ann")], 8, 0)
    assert all(text[answer.start : answer.end] == answer.text for answer in found)
    assert [answer.score for answer in found] == sorted((a.score for a in found), reverse=True)
    return [answer.text for answer in found]


def test_the_spans_above_the_threshold_are_the_answers_best_first() -> None:
    model = Masses(Ann=0.25, Bob=0.4, Cat=0.15, Rome=0.15, Oslo=0.05)
    text = "Ann , Bob , Cat , Rome , Oslo"
    assert texts(model, text) == ["Bob", "Ann"]
    assert texts(model, text, span_threshold=0.1) == ["Bob", "Ann", "Cat", "Rome"]
    assert texts(model, text, span_threshold=0.5) == []
    # An answer stands in the text as often as it is said.
    assert texts(model, "Bob , Bob") == ["Bob", "Bob"]
    assert texts(model, "") == []


def test_a_text_without_an_answer_has_no_spans() -> None:
    model = Masses(Ann=0.3, Bob=0.25, nothing=0.45)
    assert texts(model, "Ann , Bob", no_answer=True) == ["Ann", "Bob"]
    assert texts(model, "Ann , Bob", no_answer=True, no_answer_threshold=0.4) == []


def test_a_span_that_overlaps_a_better_one_is_left_out() -> None:
    places = [(4, 9), (8, 12), (9, 12), (0, 20), (0, 4)]
    answers = [Answer("x", 0.9 - n / 10, *place) for n, place in enumerate(places)]
    assert select_spans(answers, 0.2) == [answers[0], answers[2], answers[4]]
    assert select_spans([Answer("", 0.9), *answers], 0.2) == []
    assert select_spans([Answer("yes", 0.95), *answers], 0.2) == [Answer("yes", 0.95)]
    assert select_spans([Answer("yes", 0.1)], 0.2) == []
    assert select_spans([answers[0], Answer("", 0.85), answers[2]], 0.2) == [answers[0], answers[2]]


def test_a_span_from_one_answer_to_another_is_left_out() -> None:
    # "Ann and Bob", "Ann", "Bob and Cat", "Bob", "Ann and Bob and Cat", "Cat".
    places = [(0, 11), (0, 3), (8, 19), (8, 11), (0, 19), (16, 19)]
    scores = [0.2, 0.19, 0.18, 0.17, 0.14, 0.12]
    answers = [Answer("x", score, *place) for score, place in zip(scores, places, strict=True)]
    assert select_spans(answers, 0.1) == [answers[1], answers[3], answers[5]]
    # "Denver Broncos" is one answer: its words are not likely.
    answers = [Answer("x", s, *p) for s, p in ((0.5, (0, 14)), (0.3, (0, 6)), (0.2, (7, 14)))]
    assert select_spans(answers, 0.1) == answers[:1]


def test_windows_are_repeated_for_each_span_of_a_set() -> None:
    windower = Windower(TOKENIZER, max_length=5, stride=1)
    golds = [
        Example(
            "Ann , Bob met Cat , Oslo", "Ann", ["Ann", "Bob", "Bob"], [0, 6, 6], all_spans=True
        ),
        Example("Ann met Bob", "Bob", ["Ann", "Bob"], [0, 8]),
        Example("Rome", "Bob", all_spans=True),
    ]
    feed, labels = SpanPreprocessor(windower).make_training_data(Masses(), golds)
    assert labels["start"][:, :2].tolist() == [[1, -1], [3, -1], [0, -1], [1, 3], [0, -1]]
    assert (labels["end"] == labels["start"]).all()
    ids = [TOKENIZER.vocabulary.index(word) for word in ("ann", "ann", "cat", "ann", "rome")]
    assert feed["text"][:, 0].tolist() == ids
    assert len(feed["question"]) == 5


GOLDS = [
    Example("Ann , Bob", "Ann", ["Ann", "Bob"], [0, 6], all_spans=True),
    Example("Ann met Cat", "Ann", "Ann", 0),
    Example("Rome , Oslo , Lima", "Ann", ["Rome", "Oslo"], [0, 7], all_spans=True),
    Example("Bob met Cat", "Ann", ["Bob", "Bob met"], [0, 0]),
]


@pytest.mark.parametrize("golds", [GOLDS, GOLDS[::2]])
def test_the_threshold_has_the_highest_f1_of_drop(golds: list[Example]) -> None:
    model = Masses(Ann=0.2, Bob=0.15, Cat=0.05, Rome=0.2, Oslo=0.13, Lima=0.11, met=0.01)
    fitted = preprocessor()
    found = fitted.calibrate(model, golds, 8, {"max_answer_words": 1})
    assert found["temperature"] == fitted.decoder.temperature == 1.0

    def overlap(threshold: float) -> float:
        decoder = dataclasses.replace(fitted.decoder, span_threshold=threshold)
        rows = SpanPreprocessor(fitted.vectorizer, decoder).answer_all(model, golds, 8, 0)
        return metrics.drop([[one.text for one in row] for row in rows], golds)["f1"]

    grid = {threshold: overlap(threshold) for threshold in np.linspace(0.02, 0.5, 25).round(2)}
    best = [threshold for threshold, f1 in grid.items() if f1 == max(grid.values())]
    assert max(grid.values()) > min(grid.values())
    assert fitted.decoder.span_threshold == min(best, key=lambda one: abs(one - 0.2))


def test_without_sets_the_threshold_stays() -> None:
    fitted = preprocessor(span_threshold=0.125)
    fitted.calibrate(Masses(Ann=0.3), GOLDS[1:2] * 5, 8, {"max_answer_words": 1})
    assert fitted.decoder.span_threshold == 0.125


def test_the_threshold_is_saved_and_may_be_missing() -> None:
    made = preprocessor(span_threshold=0.125)
    assert SpanPreprocessor.from_config(made.get_config()).decoder.span_threshold == 0.125
    config = made.get_config()
    del config["decoder"]["span_threshold"]
    assert SpanPreprocessor.from_config(config).decoder.span_threshold == 0.2


@pytest.mark.parametrize("value", [-0.1, 1.5, float("nan"), "high", None])
def test_bad_thresholds(value) -> None:
    with pytest.raises(ValueError, match="`span_threshold` must be between 0 and 1"):
        SpanDecoder(span_threshold=value)
