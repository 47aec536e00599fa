"""`Confidence`: probabilities by hand, fits against the loss in NumPy, the file in the wheel."""

from __future__ import annotations

import json
import math
import re

import numpy as np
import pytest

from keras_qa.preprocessing.confidence import (
    FEATURES,
    FOLDS,
    Confidence,
    cross_fit,
    default_confidence,
)

COUNT = len(FEATURES)
START = Confidence({"odds": 1.0, "search": 0.5}, -1.0, (-1.0, -0.7))


def row(**values: float) -> list[float]:
    """The features of an answer, 0 without a value."""
    assert set(values) <= set(FEATURES)
    return [values.get(name, 0.0) for name in FEATURES]


def vector(confidence: Confidence) -> np.ndarray:
    return np.array([*(confidence.weights.get(name, 0.0) for name in FEATURES), confidence.bias])


def sigmoid(logit):
    return 1 / (1 + np.exp(-logit))


def logit(chance):
    chance = np.clip(chance, 1e-6, 1 - 1e-6)
    return np.log(chance / (1 - chance))


def slope(inputs: np.ndarray, labels: np.ndarray, weights: np.ndarray, start) -> np.ndarray:
    """The gradient of the loss: cross-entropy and a normal distribution of precision 3."""
    return inputs.T @ (sigmoid(inputs @ weights) - labels) + 3 * (weights - np.asarray(start))


def questions(seed: int, count: int, scale: float = 1.0):
    """Features, right answers by weights that differ from `START`, and answerable questions."""
    rng = np.random.default_rng(seed)
    truth = np.append(rng.normal(size=COUNT), 0.5)
    features, right = [], []
    for _ in range(count):
        rows = scale * rng.normal(size=(rng.integers(0, 5), COUNT))
        features.append(rows)
        right.append(rng.uniform(size=len(rows)) < sigmoid(rows @ truth[:-1] + truth[-1]))
    answerable = [bool(marks.any()) or number % 3 == 0 for number, marks in enumerate(right)]
    return features, right, answerable


def test_probabilities_by_hand() -> None:
    features = [row(), row(odds=1.5), row(odds=2.0, search=1.0, missing=9.0)]
    logits = [-1.0, 0.5, 1.5]
    expected = [1 / (1 + math.exp(-value)) for value in logits]
    np.testing.assert_allclose(START.answers(features), expected, rtol=1e-12)
    for value, chance in zip(logits, expected, strict=True):
        none = 1 / (1 + math.exp(1.0 + 0.7 * value))
        assert START.unanswered(chance) == pytest.approx(none, rel=1e-12)
    assert START.answers([]).shape == (0,)
    # No overflow, and probabilities of 0 and 1 have a finite logit.
    np.testing.assert_array_equal(START.answers([row(odds=1e4), row(odds=-1e4)]), [1.0, 0.0])
    largest = math.log((1 - 1e-6) / 1e-6)
    assert START.unanswered(0.0) == pytest.approx(sigmoid(0.7 * largest - 1), rel=1e-6)
    assert START.unanswered(1.0) == pytest.approx(sigmoid(-0.7 * largest - 1), rel=1e-6)


def test_the_likelier_the_best_answer_the_less_likely_is_none() -> None:
    values = [START.unanswered(chance) for chance in np.linspace(0, 1, 50)]
    assert all(np.diff(values) < 0)
    # Also if all unanswerable questions have the likelier answers.
    features = [np.array([row(odds=3.0 if number % 2 else -3.0)]) for number in range(200)]
    right = [np.array([False])] * 200
    fitted = START.fit(features, right, [number % 2 == 0 for number in range(200)])
    assert fitted.no_answer[1] == 0.0


# Large features and a start far from the optimum: whole steps of Newton would oscillate.
@pytest.mark.parametrize(
    ("scale", "start"),
    [(1.0, START), (10.0, START), (10.0, Confidence({"odds": -20.0}, 9.0, (8.0, -5.0)))],
)
def test_the_fit_has_the_highest_penalized_likelihood(scale: float, start: Confidence) -> None:
    features, right, answerable = questions(0, 120, scale)
    fitted = start.fit(features, right, answerable)
    rows = np.concatenate(features)
    inputs = np.concatenate([rows, np.ones((len(rows), 1))], axis=1)
    labels = np.concatenate(right).astype("float64")
    # The loss is convex: its gradient is 0 at the minimum alone.
    gradient = slope(inputs, labels, vector(fitted), vector(start))
    np.testing.assert_allclose(gradient, 0, atol=1e-5)
    assert np.abs(slope(inputs, labels, vector(start), vector(start))).max() > 1
    best = [fitted.answers(part).max() if len(part) else 0.0 for part in features]
    pairs = np.stack([np.ones(len(best)), logit(np.array(best))], axis=1)
    empty = ~np.array(answerable)
    gradient = slope(pairs, empty.astype("float64"), np.array(fitted.no_answer), start.no_answer)
    assert fitted.no_answer[1] < 0
    np.testing.assert_allclose(gradient, 0, atol=1e-5)


def test_two_opposite_questions_of_no_answer_by_hand() -> None:
    # Weights of 0: each answer has the probability 0.5, whose logit is 0.
    start = Confidence({}, 0.0, (0.0, -1.0))
    features, right = [np.zeros((2, COUNT))] * 2, [np.array([True, False])] * 2
    fitted = start.fit(features, right, [True, False])
    assert vector(fitted).tolist() == [0.0] * (COUNT + 1)
    assert fitted.no_answer == (0.0, -1.0)
    # Two unanswerable questions, with `2 * (1 - p) = 3 * first`.
    [first, second] = start.fit(features, right, [False, False]).no_answer
    assert 2 * (1 - sigmoid(first)) == pytest.approx(3 * first, abs=1e-9)
    assert second == -1.0


def test_without_questions_the_fit_is_its_start() -> None:
    for features, right, answerable in (
        ([], [], []),
        # Answerable questions without answers tell nothing.
        ([np.zeros((0, COUNT))] * 3, [np.zeros(0, bool)] * 3, [True] * 3),
    ):
        fitted = START.fit(features, right, answerable)
        np.testing.assert_array_equal(vector(fitted), vector(START))
        assert fitted.no_answer == START.no_answer


def test_few_questions_move_the_weights_little() -> None:
    features, right, answerable = questions(1, 400)
    distances = []
    for count in (1, 5, 50, 400):
        fitted = START.fit(features[:count], right[:count], answerable[:count])
        distances.append(float(np.abs(vector(fitted) - vector(START)).sum()))
    assert distances == sorted(distances)
    # An answer moves a weight at most by a third of its feature.
    fitted = START.fit([np.array([row(odds=2.0)])], [np.array([False])], [True])
    assert 0 < START.weights["odds"] - fitted.weights["odds"] < 2 / 3
    assert 0 < START.bias - fitted.bias < 1 / 3
    assert fitted.weights["ranker"] == 0.0
    # Nothing is changed in place.
    assert START.weights == {"odds": 1.0, "search": 0.5}


@pytest.mark.parametrize("refuses", [True, False])
def test_cross_fitted_scores_are_of_weights_of_other_questions(refuses: bool) -> None:
    features, right, answerable = questions(2, 33)
    expected = []
    for number in range(FOLDS):
        rest = [n for n in range(33) if n % FOLDS != number]
        fitted = START.fit(*([part[n] for n in rest] for part in (features, right, answerable)))
        for held_out in range(number, 33, FOLDS):
            chances = fitted.answers(features[held_out]).tolist()
            if chances and not (refuses and fitted.unanswered(max(chances)) > max(chances)):
                best = chances.index(max(chances))
                expected.append((chances[best], bool(right[held_out][best])))
    scores, is_right = cross_fit(START, features, right, answerable, refuses)
    assert list(zip(scores, is_right, strict=True)) == expected
    answered = sum(len(rows) > 0 for rows in features)
    assert (len(scores) < answered) is refuses
    # They differ from the scores by weights of all questions.
    every = START.fit(features, right, answerable)
    assert not {max(every.answers(rows), default=0.0) for rows in features} & set(scores)


@pytest.mark.parametrize("has_ranker", [False, True])
def test_the_weights_in_the_wheel(has_ranker: bool) -> None:
    confidence = default_confidence(has_ranker)
    assert confidence.weights
    assert set(confidence.weights) <= set(FEATURES)
    # A search has no logits of a ranker.
    assert bool(confidence.weights.get("ranker", 0.0)) is has_ranker
    assert confidence.no_answer[1] < 0
    config = json.loads(json.dumps(confidence.get_config()))
    assert Confidence.from_config(config) == confidence


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"weights": {"luck": 1.0}}, "`weights` must be weights of known features. Received: "),
        ({"weights": {"odds": "1"}}, "`odds` must be a finite number. Received: odds='1'."),
        ({"weights": [1.0]}, "`weights` must be "),
        ({"bias": math.nan}, "`bias` must be a finite number. Received: bias=nan."),
        ({"bias": None}, "`bias` must be a finite number. Received: bias=None."),
        ({"no_answer": [1.0]}, "`no_answer` must be two numbers. Received: no_answer=(1.0,)."),
        ({"no_answer": [1.0, math.inf]}, "`no_answer` must be a finite number. Received: no_ans"),
        ({"no_answer": 1.0}, "`no_answer` must be a list. Received: 1.0."),
    ],
)
def test_wrong_configs_raise(changes: dict, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}") as raised:
        Confidence.from_config({**START.get_config(), **changes})
    assert "\n" not in str(raised.value)
    assert len(str(raised.value)) <= 300


@pytest.mark.parametrize("name", ["weights", "bias", "no_answer"])
def test_incomplete_configs_raise(name: str) -> None:
    config = START.get_config()
    del config[name]
    with pytest.raises(ValueError, match=f"^`{name}` must be "):
        Confidence.from_config(config)
