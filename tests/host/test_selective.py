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
    precision_bounds,
    precision_thresholds,
    risk_coverage,
)
from keras_qa.preprocessing import AskCalibration
from keras_qa.preprocessing.ask_calibration import gold_mentions

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


# Two-sided 95 % intervals of Clopper and Pearson, as Newcombe 1998 gives them in his table I.
@pytest.mark.parametrize(
    ("right", "answers", "low"),
    [(81, 263, 0.2527), (15, 148, 0.0578), (0, 20, 0.0), (1, 29, 0.0009)],
)
def test_bounds_are_those_of_published_tables(right, answers, low) -> None:
    assert precision_bounds(right, answers, 0.975) == pytest.approx(low, abs=5e-5)


def test_bounds_by_hand() -> None:
    # With all of n right it is the n-th root of 0.1, and with one right 1 less that of 0.9.
    counts = np.array([1, 2, 22, 1000])
    assert precision_bounds(counts, counts) == pytest.approx(0.1 ** (1 / counts))
    assert precision_bounds(1, counts) == pytest.approx(1 - 0.9 ** (1 / counts))
    assert precision_bounds([[0, 0]], [1, 7]).tolist() == [[0.0, 0.0]]
    assert precision_bounds([], []).tolist() == []


def tail(right: int, answers: int, share: float) -> float:
    """How likely so many or more are right, term by term."""
    return math.fsum(
        math.comb(answers, n) * share**n * (1 - share) ** (answers - n)
        for n in range(right, answers + 1)
    )


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 300), st.data(), st.sampled_from([0.5, 0.9, 0.99]))
def test_a_bound_is_where_so_many_would_be_unlikely(answers, data, confidence) -> None:
    right = data.draw(st.integers(1, answers))
    bound = float(precision_bounds(right, answers, confidence))
    assert tail(right, answers, bound) == pytest.approx(1 - confidence, rel=1e-6)
    assert 0 < bound <= right / answers
    # More right, and more answers of which the same share is right, show more.
    assert right == answers or precision_bounds(right + 1, answers, confidence) > bound
    assert precision_bounds(2 * right, 2 * answers, confidence) >= bound - 1e-9


def test_what_has_no_bound_is_said() -> None:
    for right, answers, found in (
        ([1, 3], [2, 2], "3 right of 2"),
        (-1, 4, "-1 right of 4"),
        (0, [1, 0], "0 right of 0"),
    ):
        with pytest.raises(
            ValueError, match=f"^`right` must be from 0 to .* Received: {found}\\.$"
        ):
            precision_bounds(right, answers)
    for confidence in (0.4, 1, math.nan):
        with pytest.raises(
            ValueError, match=r"^`confidence` must be from 0\.5 to below 1\. Received"
        ):
            precision_bounds(1, 2, confidence)


def test_thresholds_by_hand() -> None:
    # A wrong one among the first ends nothing: 39 right of 40 show more than 10 of 10.
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
    # Between two numbers that stand side by side there is no middle.
    low = math.nextafter(0.9, 0)
    found = precision_thresholds([0.9] * 5 + [low] * 5, [True] * 5 + [False] * 5)
    assert found[1].tolist() == [0.0, 0.9]
    assert [len(one) for one in precision_thresholds([], [])] == [0, 0]


def test_other_answers_keep_the_precision_nine_times_in_ten() -> None:
    # Of an answer with the score s the probability of being right is 0.02 + 0.96 s^0.7, so that
    # from t on the share is the mean of that from t to 1.
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
def test_a_threshold_is_the_lowest_that_keeps_the_precision(answers, least) -> None:
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


@pytest.mark.parametrize(
    ("seed", "scale", "helps"), [(0, 1.0, True), (0, 0.3, False), (4, 0.3, False)]
)
def test_a_temperature_that_does_not_help_other_questions_is_left_out(seed, scale, helps) -> None:
    start, end, *rest = _windows(seed, questions=(questions := 8))
    windows = (start * scale, end * scale, *rest)
    example, gain = windows[3], 0.0
    for fold in range(5):
        test = np.isin(example, np.arange(questions)[np.arange(questions) % 5 == fold])
        parts = [[array[rows] for array in windows] for rows in (~test, test)]
        for part in parts:
            part[3] = np.unique(part[3], return_inverse=True)[1]
        temperature, weight = fit_retrieval(*parts[0], 2)
        # The best weight for a temperature of 1.0, by trying.
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
