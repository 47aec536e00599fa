"""Precision thresholds, risk and coverage, and fits of the weight of retrieval."""

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
    precision_bounds,
    precision_thresholds,
    risk_coverage,
)
from keras_qa.preprocessing import AskCalibration
from keras_qa.preprocessing.ask_calibration import gold_mentions

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


# Two-sided 95 % intervals of Clopper and Pearson, as Newcombe 1998 gives them in his table I.
@pytest.mark.parametrize(
    ("right", "answers", "low"),
    [(81, 263, 0.2527), (15, 148, 0.0578), (0, 20, 0.0), (1, 29, 0.0009)],
)
def test_bounds_equal_published_tables(right, answers, low) -> None:
    assert precision_bounds(right, answers, 0.975) == pytest.approx(low, abs=5e-5)


def test_bounds_by_hand() -> None:
    # n of n right: the n-th root of 0.1. One of n right: 1 minus the n-th root of 0.9.
    counts = np.array([1, 2, 22, 1000])
    assert precision_bounds(counts, counts) == pytest.approx(0.1 ** (1 / counts))
    assert precision_bounds(1, counts) == pytest.approx(1 - 0.9 ** (1 / counts))
    assert precision_bounds([[0, 0]], [1, 7]).tolist() == [[0.0, 0.0]]
    assert precision_bounds([], []).tolist() == []


def tail(right: int, answers: int, share: float) -> float:
    """Probability of at least `right` right answers, term by term."""
    return math.fsum(
        math.comb(answers, n) * share**n * (1 - share) ** (answers - n)
        for n in range(right, answers + 1)
    )


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 300), st.data(), st.sampled_from([0.5, 0.9, 0.99]))
def test_bounds_have_the_tail_probability(answers, data, confidence) -> None:
    right = data.draw(st.integers(1, answers))
    bound = float(precision_bounds(right, answers, confidence))
    assert tail(right, answers, bound) == pytest.approx(1 - confidence, rel=1e-6)
    assert 0 < bound <= right / answers
    # More right answers, or more answers with the same precision, raise the bound.
    assert right == answers or precision_bounds(right + 1, answers, confidence) > bound
    assert precision_bounds(2 * right, 2 * answers, confidence) >= bound - 1e-9


def test_bad_arguments_of_bounds_raise() -> None:
    for right, answers, found in (
        ([1, 3], [2, 2], "3 right of 2"),
        (-1, 4, "-1 right of 4"),
        (0, [1, 0], "0 right of 0"),
    ):
        with pytest.raises(
            ValueError, match=f"^`answers` must be at least 1 .* Received: {found}\\.$"
        ):
            precision_bounds(right, answers)
    for confidence in (0.4, 1, math.nan):
        with pytest.raises(
            ValueError, match=r"^`confidence` must be at least 0\.5 and below 1\. Received"
        ):
            precision_bounds(1, 2, confidence)


def test_thresholds_by_hand() -> None:
    # A wrong answer with a high score does not matter: 39 of 40 is a higher bound than 10 of 10.
    scores = np.arange(50, 0, -1) / 50
    right = np.array([True] * 10 + [False] + [True] * 29 + [False] * 10)
    precisions, thresholds = precision_thresholds(scores, right)
    assert precisions.tolist() == precision_bounds(39, np.arange(50, 39, -1)).tolist()
    assert precisions[-1] > 0.1**0.1
    assert thresholds.tolist() == pytest.approx([0.0, *np.arange(1.5, 11) / 50])
    for values, correct, least in (([0.9, 0.8], [True, True], 0.1**0.5), ([0.9], [False], 0.0)):
        precisions, thresholds = precision_thresholds(values, correct)
        assert precisions == pytest.approx([least])
        assert thresholds.tolist() == [0.0]
    # There is no float between two adjacent floats.
    low = math.nextafter(0.9, 0)
    found = precision_thresholds([0.9] * 5 + [low] * 5, [True] * 5 + [False] * 5)
    assert found[1].tolist() == [0.0, 0.9]
    assert [len(one) for one in precision_thresholds([], [])] == [0, 0]


def test_the_precision_holds_for_new_answers_in_nine_of_ten_cases() -> None:
    # An answer with the score s is right with the probability 0.02 + 0.96 s^0.7. The true precision
    # at the threshold t is the mean of that from t to 1.
    rng = np.random.default_rng(0)
    kept = 0
    for _ in range(60):
        scores = rng.random(400)
        right = rng.random(400) < 0.02 + 0.96 * scores**0.7
        precisions, thresholds = precision_thresholds(scores, right)
        least = thresholds[precisions >= 0.8][0]
        kept += 0.02 + 0.96 * (1 - least**1.7) / (1.7 * (1 - least)) >= 0.8
    assert 50 <= kept < 60


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


def test_bad_scores_raise() -> None:
    for function in (risk_coverage, precision_thresholds):
        with pytest.raises(
            ValueError, match=r"^`scores` and `correct` must have one entry per ans"
        ):
            function([0.5], [True, False])
        with pytest.raises(
            ValueError, match=r"^`scores` must be finite numbers. Received: nan at position 1"
        ):
            function([0.5, np.nan], [True, False])


def test_unreachable_precisions_raise() -> None:
    fitted = AskCalibration(1.0, 4.0, precisions=(0.5, 0.66666), thresholds=(0.0, 0.4))
    assert [fitted.threshold(share) for share in (0.1, 0.5, 0.6)] == [0.0, 0.0, 0.4]
    with pytest.raises(
        ValueError,
        match=r"^`min_precision` is 0\.9, but the questions of `calibrate` support at most "
        r"0\.6666, with a confidence of 0\.9\. Use a lower value, or calibrate on more questions: "
        r"0\.9 needs at least 22 answers, all of them right\.$",
    ):
        fitted.threshold(0.9)
    assert precision_bounds(21, 21) < 0.9 < precision_bounds(22, 22)
    with pytest.raises(ValueError, match=r"at most 0, .* lower value: no number of answers c"):
        AskCalibration(1.0, 4.0).threshold(1)
    with pytest.raises(ValueError, match=r" at most 0, .* 0\.05 needs at least 1 answers, all"):
        AskCalibration(1.0, 4.0).threshold(0.05)
    for share in (0, -1, 1.1, math.nan):
        with pytest.raises(
            ValueError, match=r"^`min_precision` must be a number above 0 and at most 1\. R"
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
        # Most often in the passage with the highest prior; in every tenth question nowhere.
        if question % 10:
            place = question * passages + rng.choice(passages, p=[0.7, 0.2, 0.1])
            word = rng.integers(1, words + 1)
            spans[place] = word
            start[place, word] += 4
            end[place, word] += 4
    return start, end, offsets, example, spans, prior


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
    temperature, weight = fit_retrieval(*windows, 2, no_answer)
    best = _likelihood(windows, temperature, weight, no_answer)
    for heat, more in ((1.02, 0), (0.98, 0), (1, 0.1), (1, -0.1), (1.02, 0.1), (0.98, -0.1)):
        assert _likelihood(windows, temperature * heat, weight + more, no_answer) > best


def test_without_priors_it_is_fit_temperature() -> None:
    *windows, prior = _windows(1)
    temperature, weight = fit_retrieval(*windows, prior * 0, 2)
    assert weight is None
    assert temperature == fit_temperature(*windows, 2)


@pytest.mark.parametrize(
    ("seed", "scale", "helps"), [(0, 1.0, True), (0, 0.3, False), (4, 0.3, False)]
)
def test_a_temperature_that_does_not_help_other_folds_is_1(seed, scale, helps) -> None:
    start, end, *rest = _windows(seed, questions=(questions := 8))
    windows = (start * scale, end * scale, *rest)
    example, gain = windows[3], 0.0
    for fold in range(5):
        test = np.isin(example, np.arange(questions)[np.arange(questions) % 5 == fold])
        parts = [[array[rows] for array in windows] for rows in (~test, test)]
        for part in parts:
            part[3] = np.unique(part[3], return_inverse=True)[1]
        temperature, weight = fit_retrieval(*parts[0], 2)
        # The best weight for a temperature of 1.0, by grid search.
        tried = np.linspace(0, 50, 201)
        other = tried[np.argmin([_likelihood(parts[0], 1.0, one, True) for one in tried])]
        gain += _likelihood(parts[1], 1.0, other, True)
        gain -= _likelihood(parts[1], temperature, weight, True)
    assert abs(gain) > 0.05
    assert (gain > 0) == helps
    temperature, weight = fit_retrieval(*windows, 2, folds=5)
    if helps:
        assert (temperature, weight) == fit_retrieval(*windows, 2)
    else:
        assert temperature == 1.0
        best = _likelihood(windows, 1.0, weight, True)
        assert all(_likelihood(windows, 1.0, weight + more, True) > best for more in (-0.1, 0.1))


def test_bad_windows_raise() -> None:
    *windows, spans, prior = _windows(2, questions=2)
    with pytest.raises(ValueError, match=r"^`prior` must have the shape \(6,\)\. Received: \(5,\)"):
        fit_retrieval(*windows, spans, prior[:-1])
    with pytest.raises(
        ValueError, match=r"^`spans` must have the shape \(6, answers, 2\)\. Received: \(5"
    ):
        fit_retrieval(*windows, spans[:-1], prior)
    with pytest.raises(ValueError, match=r"^No passage holds a right answer of at most \d+ words"):
        fit_retrieval(*windows, spans * 0, prior)


def test_right_answers_are_found_wherever_a_window_says_them() -> None:
    text = ["The red car. A RED CARPET, the red", "car."]
    item = Example(text, "What?", ("the Red car", "car"))
    plain = item.plain_text
    words = [(0, 3), (4, 7), (8, 11), (11, 12), (13, 14), (15, 18), (19, 25), (35, 38), (38, 39)]
    assert plain[35:38] == "car"
    # Two windows of the first passage, the second with two pieces of a word; one of the other.
    rows = [[(-1, -1), *words[:4]], [(-1, -1), words[2], words[2], words[5], words[6]]]
    rows.append([(-1, -1), words[7], words[8], (-1, -1), (-1, -1)])
    spans = gold_mentions(np.array(rows), np.array([0, 0, 0]), [item])
    found = [{tuple(pair) for pair in row if pair[0] >= 0} for row in spans.tolist()]
    # With and without the article, and the other answer; not in "CARPET", nor across passages.
    assert found == [{(1, 3), (2, 3), (3, 3)}, {(1, 1)}, {(1, 1)}]
    nothing = gold_mentions(np.array(rows), np.array([0, 0, 0]), [Example(text, "What?")])
    assert nothing.tolist() == [[[-1, -1]]] * 3
