"""Precision thresholds, and risk against coverage."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_qa.preprocessing.ask_calibration import AskCalibration
from keras_qa.preprocessing.confidence import Confidence
from keras_qa.preprocessing.selective import precision_bounds, precision_thresholds, risk_coverage

CONFIDENCE = Confidence({"odds": 1.0}, -1.0, (-1.0, -0.7))
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


@given(ANSWERS, st.floats(0, 1, exclude_min=True))
def test_thresholds_are_the_lowest_with_the_precision(answers, least) -> None:
    scores = np.array([score for score, _ in answers])
    right = np.array([correct for _, correct in answers], bool)
    precisions, thresholds = precision_thresholds(scores, right)
    assert (np.diff(precisions) > 0).all()
    assert (np.diff(thresholds) > 0).all()
    fitted = AskCalibration(
        CONFIDENCE, precisions=tuple(precisions.tolist()), thresholds=tuple(thresholds.tolist())
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
    with pytest.raises(ValueError, match="^`scores` must be finite numbers. Received: nan at pos"):
        function([0.5, np.nan], [True, False])


def test_a_threshold_lies_between_two_scores() -> None:
    # There is no float between two adjacent floats.
    low = math.nextafter(0.9, 0)
    for scores, threshold in (([0.9] * 5 + [0.4] * 5, 0.65), ([0.9] * 5 + [low] * 5, 0.9)):
        found = precision_thresholds(scores, [True] * 5 + [False] * 5)
        assert found[1].tolist() == [0.0, threshold]


def test_unreachable_precisions_raise() -> None:
    fitted = AskCalibration(CONFIDENCE, precisions=(0.5, 0.66666), thresholds=(0.0, 0.4))
    assert [fitted.threshold(share) for share in (0.1, 0.5, 0.6)] == [0.0, 0.0, 0.4]
    message = (
        r"^`min_precision` is 0\.9, but the questions of `calibrate` support at most 0\.6666, with "
        r"a confidence of 0\.9\. Use a lower value, or calibrate on more q"
    )
    with pytest.raises(ValueError, match=message):
        fitted.threshold(0.9)
    with pytest.raises(ValueError, match=r"^`min_precision` is 1, but .* at most 0, "):
        AskCalibration(CONFIDENCE).threshold(1)
    message = r"^`min_precision` must be a number above 0 and at most 1\. R"
    for share in (0, -1, 1.1, math.nan):
        with pytest.raises(ValueError, match=message):
            fitted.threshold(share)
