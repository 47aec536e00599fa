"""Precision thresholds, risk against coverage, the weight of retrieval: by hand and by force."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_qa import Example
from keras_qa.decoding import (
    fit_retrieval,
    fit_temperature,
    precision_thresholds,
    risk_coverage,
)
from keras_qa.tasks import AskCalibration
from keras_qa.tasks.asking import gold_mentions

# Few scores, so that many are equal.
ANSWERS = st.lists(st.tuples(st.sampled_from([0.0, 0.1, 0.5, 0.7, 1.0]), st.booleans())) | st.lists(
    st.tuples(st.floats(0, 1), st.booleans())
)


def test_risk_against_coverage_by_hand() -> None:
    # Two answers of 0.5 are given together.
    found = risk_coverage([0.5, 0.9, 0.5, 0.7, 0.2], [True, True, False, False, True])
    assert found.threshold.tolist() == [0.9, 0.7, 0.5, 0.2]
    assert found.answers.tolist() == [1, 2, 4, 5]
    assert found.right.tolist() == [1, 1, 2, 3]
    assert found.precision.tolist() == [1.0, 0.5, 0.5, 0.6]
    assert all(len(part) == 0 for part in risk_coverage([], []))


def test_thresholds_by_hand() -> None:
    # From the top the precision is 1, 1/2, 2/3, 3/4, 3/5: a wrong one among the first ends nothing.
    precisions, thresholds = precision_thresholds(
        [0.9, 0.8, 0.6, 0.4, 0.2], [True, False, True, True, False]
    )
    assert precisions.tolist() == [0.6, 0.75, 1.0]
    assert thresholds.tolist() == pytest.approx([0.0, 0.3, 0.85])
    precisions, thresholds = precision_thresholds([0.9, 0.8], [True, True])
    assert (precisions.tolist(), thresholds.tolist()) == ([1.0], [0.0])
    precisions, thresholds = precision_thresholds([0.9], [False])
    assert (precisions.tolist(), thresholds.tolist()) == ([0.0], [0.0])
    # Between two numbers that stand side by side there is no middle.
    low = math.nextafter(0.9, 0)
    assert precision_thresholds([0.9, low], [True, False])[1].tolist() == [0.0, 0.9]


@settings(max_examples=100, deadline=None)
@given(ANSWERS, st.floats(0, 1, exclude_min=True))
def test_a_threshold_is_the_lowest_that_keeps_the_precision(answers, least) -> None:
    scores = np.array([score for score, _ in answers])
    right = np.array([correct for _, correct in answers], bool)
    precisions, thresholds = precision_thresholds(scores, right)
    assert (np.diff(precisions) > 0).all()
    assert (np.diff(thresholds) > 0).all()
    fitted = AskCalibration(
        1.0, 4.0, precisions=tuple(precisions.tolist()), thresholds=tuple(thresholds.tolist())
    )
    shares = {score: right[scores >= score].mean() for score in scores.tolist()}
    enough = [score for score, share in shares.items() if share >= least]
    if not enough:
        with pytest.raises(ValueError, match=r"^`min_precision` is .* no score comes to more than"):
            fitted.threshold(least)
        return
    given = scores >= fitted.threshold(least)
    assert right[given].mean() >= least
    # No answer less than could be given.
    assert given.sum() == (scores >= min(enough)).sum()


def test_scores_are_checked() -> None:
    for function in (risk_coverage, precision_thresholds):
        with pytest.raises(ValueError, match=r"^`scores` and `correct` must have one entry an ans"):
            function([0.5], [True, False])
        with pytest.raises(ValueError, match=r"^`scores` holds nan at \[1\], but scores must be n"):
            function([0.5, np.nan], [True, False])


def test_a_precision_that_cannot_be_had_is_named_with_the_best() -> None:
    fitted = AskCalibration(1.0, 4.0, precisions=(0.5, 0.66666), thresholds=(0.0, 0.4))
    assert [fitted.threshold(share) for share in (0.1, 0.5, 0.6)] == [0.0, 0.0, 0.4]
    with pytest.raises(
        ValueError, match=r"^`min_precision` is 0\.9, but .* more than 0\.6666\. Ask"
    ):
        fitted.threshold(0.9)
    with pytest.raises(ValueError, match=r"no score comes to more than 0\. Ask for less"):
        AskCalibration(1.0, 4.0).threshold(0.1)
    for share in (0, -1, 1.1, math.nan):
        with pytest.raises(
            ValueError, match=r"^`min_precision` must be above 0, and up to 1\. Rec"
        ):
            fitted.threshold(share)


def test_a_calibration_is_made_again_of_its_config() -> None:
    fitted = AskCalibration(1.5, 3.0, 5, {"no_answer": True}, (0.5, 1.0), (0.0, 0.9))
    assert AskCalibration.from_config(fitted.get_config()) == fitted


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
        # Mostly, but not always, in a passage that fits; in every tenth question nowhere.
        if question % 10:
            place = question * passages + rng.choice(passages, p=[0.7, 0.2, 0.1])
            word = rng.integers(1, words + 1)
            spans[place] = word
            start[place, word] += 4
            end[place, word] += 4
    return start, end, offsets, example, spans, prior


def _likelihood(windows, temperature: float, weight: float, no_answer: bool) -> float:
    """The loss span by span."""
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
def test_what_is_fitted_makes_right_answers_likeliest(no_answer) -> None:
    windows = _windows(0)
    temperature, weight = fit_retrieval(*windows, 2, no_answer)
    best = _likelihood(windows, temperature, weight, no_answer)
    for heat, more in ((1.02, 0), (0.98, 0), (1, 0.1), (1, -0.1), (1.02, 0.1), (0.98, -0.1)):
        assert _likelihood(windows, temperature * heat, weight + more, no_answer) > best


def test_without_differences_the_temperature_is_that_of_one_text() -> None:
    *windows, prior = _windows(1)
    temperature, weight = fit_retrieval(*windows, prior * 0, 2)
    assert weight is None
    assert temperature == pytest.approx(fit_temperature(*windows, 2), rel=0.02)


def test_windows_of_several_passages_are_checked() -> None:
    *windows, spans, prior = _windows(2, questions=2)
    with pytest.raises(ValueError, match=r"^`prior` must have the shape \(6,\)\. Received: \(5,\)"):
        fit_retrieval(*windows, spans, prior[:-1])
    with pytest.raises(
        ValueError, match=r"^`spans` must have the shape \(6, 1, 2\)\. Received: \(5"
    ):
        fit_retrieval(*windows, spans[:-1], prior)
    with pytest.raises(ValueError, match=r"^No passage holds a right answer of a length that the"):
        fit_retrieval(*windows, spans * 0, prior)


def test_right_answers_are_found_wherever_a_window_says_them() -> None:
    text = ["The red car. A RED CARPET, the red", "car."]
    item = Example(text, "What?", ("the Red car", "car"))
    plain = item.plain_text
    words = [(0, 3), (4, 7), (8, 11), (11, 12), (13, 14), (15, 18), (19, 25), (35, 38), (38, 39)]
    assert plain[35:38] == "car"
    # Two windows of the first passage, the last with two pieces a word, and one of the second.
    rows = [[(-1, -1), *words[:4]], [(-1, -1), words[2], words[2], words[5], words[6]]]
    rows.append([(-1, -1), words[7], words[8], (-1, -1), (-1, -1)])
    spans = gold_mentions(np.array(rows), np.array([0, 0, 0]), [item])
    found = [{tuple(pair) for pair in row if pair[0] >= 0} for row in spans.tolist()]
    # With its article, without it, and the other answer; not in «carpet», nor over two passages.
    assert found == [{(1, 3), (2, 3), (3, 3)}, {(1, 1)}, {(1, 1)}]
    nothing = gold_mentions(np.array(rows), np.array([0, 0, 0]), [Example(text, "What?")])
    assert nothing.tolist() == [[[-1, -1]]] * 3
