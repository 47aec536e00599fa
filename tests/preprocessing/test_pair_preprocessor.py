"""The calibration of rankers: probabilities from logits, precisions, and configs."""

import json

import numpy as np
import pytest
from small_tokenizers import wordpiece

from keras_qa.preprocessing.pair_preprocessor import PairPreprocessor, Relevance
from keras_qa.preprocessing.preprocessor import deserialize, serialize
from keras_qa.preprocessing.selective import precision_thresholds
from keras_qa.text import SubwordTokenizer, Windower

LOGITS = np.array([-6.0, -3.0, -1.0, 0.5, 1.0, 2.0, 4.0, 5.0] * 25)
LABELS = np.array([0, 0, 0, 1, 0, 1, 1, 1] * 25, bool)


def sigmoid(values: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-values))


def test_the_probabilities_are_those_of_a_logistic_regression() -> None:
    fitted = Relevance.fit(LOGITS, LABELS)
    chance = sigmoid(fitted.scale * LOGITS + fitted.offset)
    np.testing.assert_allclose(fitted.scores(LOGITS), chance)
    # At the likeliest weights the slope is that of the normal distribution around (1, 0).
    slope = np.array([LOGITS @ (chance - LABELS), (chance - LABELS).sum()])
    np.testing.assert_allclose(slope, -3.0 * np.array([fitted.scale - 1, fitted.offset]), atol=1e-6)
    assert 0 < chance.min() < 0.05 < 0.95 < chance.max() < 1
    assert chance.sum() == pytest.approx(LABELS.sum(), abs=3)


def test_a_threshold_keeps_the_texts_that_reach_the_precision() -> None:
    fitted = Relevance.fit(LOGITS, LABELS)
    scores = fitted.scores(LOGITS)
    assert fitted.threshold(0.4) == 0.0
    # Of the 125 with a logit of at least 0.5 are 100 right, with at least 2.0 all 75.
    assert LABELS[scores >= fitted.threshold(0.7)].tolist().count(True) == 100
    assert LABELS[scores >= fitted.threshold(0.95)].tolist() == [True] * 75
    with pytest.raises(
        ValueError, match=r"^`min_precision` is 0\.99, but .* support at most 0\.96"
    ):
        fitted.threshold(0.99)


def test_few_of_many_thresholds_are_kept() -> None:
    logits = np.linspace(-8, 8, 5_001)
    labels = np.sin(1e6 * logits) < np.tanh(logits)
    fitted = Relevance.fit(logits, labels)
    assert 100 < len(fitted.thresholds) <= 1_000
    precisions, thresholds = precision_thresholds(fitted.scores(logits), labels)
    for least in (0.5, 0.8, 0.9, 0.95):
        assert fitted.threshold(least) == thresholds[np.argmax(precisions >= least)]


def test_labels_against_the_logits_raise() -> None:
    with pytest.raises(ValueError, match="^The model does not score texts with the label 1 higher"):
        Relevance.fit(LOGITS, ~LABELS)


def make_preprocessor() -> PairPreprocessor:
    return PairPreprocessor(Windower(SubwordTokenizer(wordpiece()), 32))


def test_a_config_keeps_the_calibration() -> None:
    preprocessor = make_preprocessor()
    assert "relevance" not in preprocessor.get_config()
    assert deserialize(serialize(preprocessor)).relevance is None
    preprocessor.relevance = Relevance.fit(LOGITS, LABELS)
    config = json.loads(json.dumps(serialize(preprocessor)))
    assert deserialize(config).relevance == preprocessor.relevance


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"scale": 0}, "^`scale` must be a positive number"),
        ({"scale": None}, "^`scale` must be a positive number"),
        ({"offset": float("nan")}, "^`offset` must be a finite number"),
        ({"precisions": 3}, "^`precisions` must be a list"),
        ({"precisions": [0.5]}, "^`precisions` and `thresholds` must have the same length"),
        ({"precisions": ["a"], "thresholds": [0]}, "^`precisions` must be a finite number"),
    ],
)
def test_a_changed_config_raises(changes: dict, message: str) -> None:
    config = {"scale": 1.0, "offset": 0.0, "precisions": [], "thresholds": []}
    assert Relevance.from_config(config) == Relevance(1.0, 0.0)
    with pytest.raises(ValueError, match=message):
        Relevance.from_config({**config, **changes})
    preprocessor = serialize(make_preprocessor())
    with pytest.raises(ValueError, match="^`relevance` must be an object"):
        deserialize({**preprocessor, "relevance": [1]})
