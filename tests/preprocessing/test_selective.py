"""Precision thresholds, risk and coverage, and fits of the weight of retrieval."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_qa.preprocessing import SpanDecoder
from keras_qa.preprocessing.ask_calibration import AskCalibration
from keras_qa.preprocessing.calibration import fit_retrieval, fit_temperature
from keras_qa.preprocessing.selective import precision_bounds, precision_thresholds, risk_coverage
from keras_qa.preprocessing.window_words import WindowOutputs

# Scores from a small set, so that many are equal, or any scores.
ANSWERS = st.lists(st.tuples(st.sampled_from([0.0, 0.1, 0.5, 0.7, 1.0]), st.booleans())) | st.lists(
    st.tuples(st.floats(0, 1), st.booleans())
)


def test_risk_against_coverage_by_hand() -> None:
    # The two answers with the score 0.5 are accepted together.
    found = risk_coverage([0.5, 0.9, 0.5, 0.7, 0.2], [True, True, False, False, True])
    assert found.threshold.tolist() == [0.9, 0.7, 0.5, 0.2]
    assert found.answers.tolist() == [1, 2, 4, 5]
    assert found.right.tolist() == [1, 1, 2, 3]
    assert found.precision.tolist() == [1.0, 0.5, 0.5, 0.6]
    assert all(len(part) == 0 for part in risk_coverage([], []))


def tail(right: int, answers: int, share: float) -> float:
    """Probability of at least `right` right answers, term by term."""
    return math.fsum(
        math.comb(answers, n) * share**n * (1 - share) ** (answers - n)
        for n in range(right, answers + 1)
    )


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 300), st.data(), st.sampled_from([0.5, 0.9, 0.975, 0.99]))
def test_bounds_have_the_tail_probability(answers, data, confidence) -> None:
    """The bounds of Clopper and Pearson."""
    assert precision_bounds(0, answers, confidence) == 0
    right = data.draw(st.integers(1, answers))
    bound = float(precision_bounds(right, answers, confidence))
    assert tail(right, answers, bound) == pytest.approx(1 - confidence, rel=1e-6)
    assert 0 < bound <= right / answers
    # More right answers, or more answers with the same precision, raise the bound.
    assert right == answers or precision_bounds(right + 1, answers, confidence) > bound
    assert precision_bounds(2 * right, 2 * answers, confidence) >= bound - 1e-9


@settings(max_examples=100, deadline=None)
@given(ANSWERS, st.floats(0, 1, exclude_min=True))
def test_thresholds_are_the_lowest_with_the_precision(answers, least) -> None:
    scores = np.array([score for score, _ in answers])
    right = np.array([correct for _, correct in answers], bool)
    precisions, thresholds = precision_thresholds(scores, right)
    assert (np.diff(precisions) > 0).all()
    assert (np.diff(thresholds) > 0).all()
    fitted = AskCalibration(
        1.0, 4.0, precisions=tuple(precisions.tolist()), thresholds=tuple(thresholds.tolist())
    )
    shares = {
        score: float(precision_bounds(right[scores >= score].sum(), (scores >= score).sum()))
        for score in scores.tolist()
    }
    enough = [score for score, share in shares.items() if share >= least]
    if not enough:
        with pytest.raises(ValueError, match=r"^`min_precision` is .* support at most .* Use a"):
            fitted.threshold(least)
        return
    given = scores >= fitted.threshold(least)
    assert precision_bounds(right[given].sum(), given.sum()) >= least
    assert right[given].mean() >= least
    # The coverage is the highest possible.
    assert given.sum() == (scores >= min(enough)).sum()


@pytest.mark.parametrize("function", [risk_coverage, precision_thresholds])
def test_bad_scores_raise(function) -> None:
    with pytest.raises(ValueError, match=r"^`scores` and `correct` must have one entry per ans"):
        function([0.5], [True, False])
    with pytest.raises(ValueError, match="^`scores` must be finite numbers. Received: nan at pos"):
        function([0.5, np.nan], [True, False])


def test_a_threshold_lies_between_two_scores() -> None:
    # There is no float between two adjacent floats.
    low = math.nextafter(0.9, 0)
    for scores, threshold in (([0.9] * 5 + [0.4] * 5, 0.65), ([0.9] * 5 + [low] * 5, 0.9)):
        found = precision_thresholds(scores, [True] * 5 + [False] * 5)
        assert found[1].tolist() == [0.0, threshold]


def test_unreachable_precisions_raise() -> None:
    fitted = AskCalibration(1.0, 4.0, precisions=(0.5, 0.66666), thresholds=(0.0, 0.4))
    assert [fitted.threshold(share) for share in (0.1, 0.5, 0.6)] == [0.0, 0.0, 0.4]
    message = (
        r"^`min_precision` is 0\.9, but the questions of `calibrate` support at most 0\.6666, with "
        r"a confidence of 0\.9\. Use a lower value, or calibrate on more q"
    )
    with pytest.raises(ValueError, match=message):
        fitted.threshold(0.9)
    with pytest.raises(ValueError, match=r"^`min_precision` is 1, but .* at most 0, "):
        AskCalibration(1.0, 4.0).threshold(1)
    message = r"^`min_precision` must be a number above 0 and at most 1\. R"
    for share in (0, -1, 1.1, math.nan):
        with pytest.raises(ValueError, match=message):
            fitted.threshold(share)


def _windows(seed: int, questions: int = 40, passages: int = 3, words: int = 5):
    rng = np.random.default_rng(seed)
    count = questions * passages
    start, end = rng.normal(size=(2, count, words + 1)) * 3
    offsets = np.full((count, words + 1, 2), -1)
    at = np.arange(words) * 2 + (np.arange(count) % passages * 100)[:, None]
    offsets[:, 1:] = np.stack([at, at + 1], axis=-1)
    example = np.arange(count) // passages
    spans = np.full((count, 1, 2), -1)
    prior = np.tile(np.append(0.0, rng.uniform(-1, 0, passages - 1)), questions)
    for question in range(questions):
        # Most often in the passage with the highest prior; in every tenth question nowhere.
        if question % 10:
            place = question * passages + rng.choice(passages, p=[0.7, 0.2, 0.1])
            word = rng.integers(1, words + 1)
            spans[place] = word
            start[place, word] += 4
            end[place, word] += 4
    return start, end, offsets, example, spans, prior


def _fit(arrays, prior, no_answer=True, folds=None):
    *outputs, spans = arrays
    decoder = SpanDecoder(2, no_answer)
    sizes = np.ones_like(outputs[0])
    return fit_retrieval(WindowOutputs(*outputs, sizes), spans, prior, decoder, folds)


def _likelihood(windows, temperature: float, weight: float, no_answer: bool) -> float:
    """The loss, summed span by span."""
    start, end, _, example, spans, prior = windows
    losses = []
    for question in np.unique(example):
        rows = np.flatnonzero(example == question)
        masses = {}
        for row in rows:
            for first, last in itertools.product(range(1, start.shape[1]), repeat=2):
                if first <= last < first + 2:
                    logit = start[row, first] + end[row, last] + weight * prior[row]
                    masses[row, first, last] = math.exp(logit / temperature)
        none = math.exp(min(start[row, 0] + end[row, 0] for row in rows) / temperature)
        total = sum(masses.values()) + (none if no_answer else 0)
        right = [masses[row, *spans[row, 0]] for row in rows if spans[row, 0, 0] > 0]
        if right or no_answer:
            losses.append(-math.log((sum(right) if right else none) / total))
    return sum(losses)


@pytest.mark.parametrize("no_answer", [True, False])
def test_the_fit_has_the_highest_likelihood(no_answer) -> None:
    windows = _windows(0)
    *arrays, prior = windows
    temperature, [weight] = _fit(arrays, prior[:, None], no_answer)
    best = _likelihood(windows, temperature, weight, no_answer)
    for heat, more in ((1.02, 0), (0.98, 0), (1, 0.1), (1, -0.1), (1.02, 0.1), (0.98, -0.1)):
        assert _likelihood(windows, temperature * heat, weight + more, no_answer) > best


def test_two_weights_have_the_highest_likelihood() -> None:
    *arrays, prior = _windows(3)
    rng, right = np.random.default_rng(0), arrays[4][:, 0, 0] > 0
    # The other prior prefers the right passage, too, but not in every question.
    other = (-rng.uniform(size=len(prior)) * np.where(right, 0.5, 1)).reshape(-1, 3)
    priors = np.stack([prior, (other - other.max(axis=1, keepdims=True)).ravel()], axis=1)

    def loss(temperature: float, weights: np.ndarray) -> float:
        total = (priors @ weights).reshape(-1, 3)
        shifted = (total - total.max(axis=1, keepdims=True)).ravel()
        return _likelihood((*arrays, shifted), temperature, 1.0, True)

    temperature, weights = _fit(arrays, priors)
    assert min(weights) > 0.1
    best = loss(temperature, np.array(weights))
    for heat, more in itertools.product(
        (0.97, 1, 1.03), ((0.3, 0), (-0.3, 0), (0, 0.3), (0, -0.3))
    ):
        assert loss(temperature * heat, np.maximum(np.add(weights, more), 0)) > best
    assert _fit(arrays, priors * [1, 0])[1][1] is None


def test_without_priors_it_is_fit_temperature() -> None:
    *arrays, prior = _windows(1)
    temperature, weights = _fit(arrays, prior[:, None] * [0, 0])
    assert weights == [None, None]
    *outputs, spans = arrays
    outputs = WindowOutputs(*outputs, np.ones_like(outputs[0]))
    assert temperature == fit_temperature(outputs, spans, SpanDecoder(2, no_answer=True))


def test_with_a_temperature_of_1_the_weight_is_the_best() -> None:
    start, end, *rest = _windows(0, questions=8)
    windows = (start * 0.3, end * 0.3, *rest)
    # The temperature that fits best does not help the other folds.
    *arrays, prior = windows
    temperature, [weight] = _fit(arrays, prior[:, None], folds=5)
    assert temperature == 1.0 != _fit(arrays, prior[:, None])[0]
    best = _likelihood(windows, 1.0, weight, True)
    assert all(_likelihood(windows, 1.0, weight + more, True) > best for more in (-0.1, 0.1))
