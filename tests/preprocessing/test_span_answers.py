"""The probability of no answer."""

from __future__ import annotations

import dataclasses
import json
import math
import types

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_qa import Example
from keras_qa.preprocessing import SpanDecoder, SpanPreprocessor, span_calibration
from keras_qa.preprocessing.decoder import Spans
from keras_qa.preprocessing.span_answers import LETTERS, NEAR, lacks_name, weigh_no_answer
from keras_qa.preprocessing.span_calibration import fit_no_answer_weights
from keras_qa.text import Windower, WordTokenizer

BRIDGE = "The bridge in Oslo was built in 1932."
FOUND = Spans(
    start=np.array([[32, 0], [32, 0], [-1, -1]], "int32"),
    end=np.array([[36, 3], [36, 3], [-1, -1]], "int32"),
    score=np.array([[0.5, 0.1], [0.3, 0.1], [0.0, 0.0]]),
    no_answer=np.array([0.2, 0.5, 1.0]),
    answer_types=np.array([[0.2], [0.1], [0.0]]),
)
ASKED = [
    Example(BRIDGE, "When was the bridge in Oslo built?"),
    Example(BRIDGE, "When was the bridge in Bergen built?"),
    Example("", "When was it built?"),
]


@pytest.mark.parametrize(
    ("question", "is_missing"),
    [
        ("When was the bridge in Oslo built?", False),
        ("When was the bridge in Bergen built?", True),
        ("Was the bridge built in 1932?", False),
        ("Was the bridge built in 1933?", True),
        # Only the first letters count, in upper or lower case.
        ("When was the Bridges built?", False),
        # The first word is no name, and a question of names alone has none.
        ("Bergen has which bridge?", False),
        ("WHEN WAS BERGEN BUILT?", False),
        ("When?", False),
        ("", False),
    ],
)
def test_names_and_numbers_of_the_question(question: str, is_missing: bool) -> None:
    assert lacks_name(question, BRIDGE, 32, 36) is is_missing


@given(
    beginning=st.integers(0, 2 * NEAR),
    before=st.integers(0, 2 * NEAR),
    after=st.integers(0, 2 * NEAR),
    name=st.text("aäbéz", min_size=1, max_size=9),
)
def test_a_name_is_missing_if_it_is_far_from_the_span(
    beginning: int, before: int, after: int, name: str
) -> None:
    name = "X" + name
    text = "." * beginning + name + "." * before + "1932" + "." * after + name
    start = beginning + len(name) + before
    shown = len(name[:LETTERS])
    is_near = before + len(name) <= NEAR or after + shown <= NEAR or beginning + shown <= NEAR
    assert lacks_name(f"when was {name} built?", text, start, start + 4) is not is_near


def test_weights_computed_by_hand() -> None:
    decoder = SpanDecoder(no_answer=True, no_answer_weights=(2.0, 0.5, 1.5))
    found = weigh_no_answer(FOUND, decoder, ASKED)
    # The odds 0.2 / 0.8 and 0.5 / 0.5, squared, times e^0.5, and e^1.5 for Bergen.
    odds = np.array([0.0625 * math.exp(0.5), math.exp(2.0)])
    none = odds / (1 + odds)
    np.testing.assert_allclose(found.no_answer, [*none, 1.0], rtol=1e-12)
    np.testing.assert_allclose(found.score[0], (1 - none[0]) * np.array([0.5, 0.1]) / 0.8)
    np.testing.assert_allclose(found.answer_types[1], (1 - none[1]) * 0.1 / 0.5)
    np.testing.assert_array_equal(found.score[2], 0.0)
    np.testing.assert_array_equal(found.start, FOUND.start)
    # Without questions no name is missing.
    odds[1] = math.exp(0.5)
    np.testing.assert_allclose(weigh_no_answer(FOUND, decoder).no_answer[:2], odds / (1 + odds))
    # Nothing changes by default, nor if a text always has an answer.
    for same in (SpanDecoder(no_answer=True), dataclasses.replace(decoder, no_answer=False)):
        assert weigh_no_answer(FOUND, same, ASKED) is FOUND


@given(
    masses=st.lists(st.floats(0, 1), min_size=4, max_size=4).filter(any),
    weights=st.tuples(*[st.floats(-50, 50)] * 3),
)
def test_scores_still_add_up_to_one(masses: list[float], weights: tuple) -> None:
    first, second, none, typed = np.array(masses) / sum(masses)
    start = np.array([[32, 0]]) if first or second else np.array([[-1, -1]])
    score, types = np.array([[first, second]]), np.array([[typed]])
    spans = Spans(start, start + 4, score, np.array([none]), types)
    decoder = SpanDecoder(no_answer=True, no_answer_weights=weights)
    found = weigh_no_answer(spans, decoder, ASKED[1:2])
    total = found.score.sum() + found.no_answer[0] + found.answer_types.sum()
    assert total == pytest.approx(1, abs=1e-6)
    assert min(found.score.min(), found.no_answer[0], found.answer_types.min()) >= 0


def test_the_fit_has_the_highest_penalized_likelihood() -> None:
    rng = np.random.default_rng(0)
    count = 40
    none = rng.uniform(0, 1, count)
    spans = Spans(
        np.full((count, 1), 32),
        np.full((count, 1), 36),
        1 - none[:, None],
        none,
        np.zeros((count, 0)),
    )
    examples = [
        Example(
            BRIDGE, ("When was Bergen built?", "When was Oslo built?")[rng.integers(2)], answers
        )
        for answers in ("1932" if chance < rng.uniform(0, 1) else () for chance in none)
    ]
    logit = np.log(none / (1 - none))
    is_missing = np.array(["Bergen" in item.question for item in examples])
    is_empty = np.array([not item.answers for item in examples])

    def loss(weights) -> float:
        value = weights[0] * logit + weights[1] + weights[2] * is_missing
        right = np.where(is_empty, value, -value)
        return np.log1p(np.exp(-right)).sum() + ((weights - np.array([1.0, 0, 0])) ** 2).sum() / 2

    best = np.array(fit_no_answer_weights(spans, examples))
    for step in 1e-3 * np.array([*np.eye(3), *-np.eye(3)]):
        assert loss(best + step) > loss(best)


class Doubtful:
    """A reader that prefers the third word everywhere, a little more than no answer."""

    inputs = (types.SimpleNamespace(name="text"), types.SimpleNamespace(name="question"))
    layers = ()

    def predict(self, x, batch_size=None, verbose="auto"):
        logits = np.full((len(x["text"]), x["text"].shape[1] + 1), 0.0, "float32")
        logits[:, 0], logits[:, 3] = 2.0, 2.5
        return {"start": logits, "end": logits}


def doubtful_examples() -> list[Example]:
    """The third word is right, unless the question has a name that is missing."""
    text, right = "Ann met Bob", ("Bob", 8)
    return [
        Example(text, "Whom did Ann meet?", *right)
        if number % 2
        else Example(text, "Whom did Eve meet?")
        for number in range(40)
    ]


def test_a_missing_name_is_learned_from_validation_data() -> None:
    examples = doubtful_examples()
    windower = Windower(WordTokenizer.train(["Ann met Bob whom did Eve meet"]))
    preprocessor, model = SpanPreprocessor(windower), Doubtful()
    preprocessor.configure(examples, {"max_answer_words": None, "no_answer_threshold": None})
    assert preprocessor.evaluate(model, examples, 32, 0)["f1"] == 50.0
    preprocessor.calibrate(model, examples, 32)
    assert preprocessor.evaluate(model, examples, 32, 0)["f1"] == 100.0
    ranked = preprocessor.answer(model, examples, 2, 32, 0)
    answers, details = preprocessor.answer_in_detail(model, examples, 32, 0)
    assert answers == [row[0] for row in ranked]
    none = [answer.score for row in ranked for answer in row if not answer.text]
    assert details.no_answer == none
    # A passage of a document may be about a name that it does not have.
    passages = [Example(["Ann met Bob"], "Whom did Eve meet?")]
    [[answer, _]] = preprocessor.answer_from_passages(model, passages, 1, 32)
    assert answer.text == "Bob"
    config = json.loads(json.dumps(preprocessor.get_config()))
    again = SpanPreprocessor.from_config(config)
    assert again.decoder == preprocessor.decoder
    # Answerable examples alone tell nothing, neither in training nor in validation.
    known = (again.decoder.no_answer_threshold, again.decoder.no_answer_weights)
    assert known[0] is not None
    assert known[1] != (1.0, 0.0, 0.0)
    options = {"max_answer_words": None, "no_answer_threshold": None}
    preprocessor.configure(examples[1::2], options)
    preprocessor.calibrate(model, examples[1::2], 32)
    decoder = preprocessor.decoder
    assert decoder.no_answer
    assert (decoder.no_answer_threshold, decoder.no_answer_weights) == known
    # A threshold of the user counts. Training on both kinds begins with the default.
    preprocessor.configure(examples[1::2], {**options, "no_answer_threshold": 0.0})
    assert preprocessor.decoder.no_answer_threshold == 0.0
    preprocessor.configure(examples, options)
    assert preprocessor.decoder == SpanDecoder(decoder.max_answer_words, no_answer=True)


def test_a_threshold_that_is_given_leaves_the_weights() -> None:
    windower = Windower(WordTokenizer.train(["Ann met Bob whom did Eve meet"]))
    decoder = SpanDecoder(no_answer=True, no_answer_weights=(1.0, 0.25, 3.0))
    preprocessor = SpanPreprocessor(windower, decoder)
    preprocessor.calibrate(Doubtful(), doubtful_examples(), 32, {"no_answer_threshold": 0.25})
    assert preprocessor.decoder.no_answer_weights == (1.0, 0.25, 3.0)
    assert preprocessor.decoder.no_answer_threshold == 0.25


def test_equal_probabilities_are_on_one_side_of_the_threshold() -> None:
    none = np.array([0.2, 0.5, 0.5, 0.5])
    places = np.full((4, 1), 32)
    spans = Spans(places, places + 4, 1 - none[:, None], none, np.zeros((4, 0)))
    answers = ["1932", "1932", (), ()]
    examples = [Example(BRIDGE, "When was it built?", one) for one in answers]
    decoder = SpanDecoder(no_answer=True)
    # To answer the second one alone would be best, but the others are as likely.
    assert span_calibration._best_threshold(spans, examples, decoder) == pytest.approx(0.35)


@pytest.mark.parametrize(("tried", "kept"), [(0.5, 0.5), (4.0, 1.0)])
def test_a_temperature_that_raises_the_calibration_error_is_left_out(
    tried: float, kept: float, monkeypatch
) -> None:
    monkeypatch.setattr(span_calibration, "fit_temperature", lambda *_: tried)
    preprocessor = SpanPreprocessor(
        Windower(WordTokenizer.train(["Ann met Bob whom did Eve meet"]))
    )
    # All answers are right, so the highest scores have the lowest error.
    found = preprocessor.calibrate(Doubtful(), doubtful_examples()[1::2], 32)
    assert preprocessor.decoder.temperature == found["temperature"] == kept
    assert (found["calibration_error"] < found["calibration_error_before"]) is (kept != 1.0)


@pytest.mark.parametrize("weights", [1.0, (1.0, 0.0), (1.0, 0.0, math.nan), (1.0, "0", 0.0), None])
def test_wrong_weights_raise(weights) -> None:
    with pytest.raises(ValueError, match="^`no_answer_weights` must be "):
        SpanDecoder(no_answer_weights=weights)
