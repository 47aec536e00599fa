"""`Confidence`: a logistic regression from what is known of an answer to whether it is right."""

from __future__ import annotations

import dataclasses
import functools
import importlib.resources
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from keras_qa._arguments import check_number, entry, must_be
from keras_qa._numbers import sigmoid

# What is known of an answer, in this order. `answering.document_answers` computes it.
FEATURES = (
    "odds",  # log-odds between the span and no answer in its passage, divided by 4
    "margin",  # those minus the highest of all spans of the question
    "search",  # score of the passage divided by the highest one
    "position",  # log(1 + passages before it)
    "agreement",  # log of the number of passages with the answer
    "misfit",  # 1 if the question asks for another kind, such as a number
    "section",  # 1 if it is a number of a section, a page or a figure
    "echo",  # 1 if its words of more than three letters are all words of the question
    "title",  # 1 if it stands in the document's name or the headings above
    "heading",  # share of the question's words in the document's name and the headings above
    "missing",  # share of the question's names that its passage and headings lack
    "absent",  # 1 if all passages lack a name of the question
    "ranker",  # logit of a ranker for its passage, divided by 4; 0 without a ranker
)

# Precision of the normal distributions around the weights that `calibrate` starts from, where the
# features are of the order of 1.
STRENGTH = 3.0
# Number of folds of a cross-validation.
FOLDS = 5
_STEPS, _TOLERANCE = 100, 1e-9
# Probabilities closer to 0 or 1 count as this close.
_CLOSEST = 1e-6


@dataclasses.dataclass(frozen=True)
class Confidence:
    """Weights of the probabilities that an answer is right, and that no document answers.

    The logit of an answer is `bias` plus the sum of its `FEATURES`, each multiplied by its weight.
    The logit of no answer is `no_answer[0] + no_answer[1] * logit`, with that of the likeliest
    answer (Kamath et al. 2020, arXiv:2006.09462).
    """

    weights: dict[str, float]
    bias: float
    no_answer: tuple[float, float]

    def __post_init__(self) -> None:
        for name, value in self.weights.items():
            if name not in FEATURES:
                raise ValueError(must_be("weights", "weights of known features", name))
            check_number(name, value)
        check_number("bias", self.bias)
        if len(self.no_answer) != 2:
            raise ValueError(must_be("no_answer", "two numbers", self.no_answer))
        for value in self.no_answer:
            check_number("no_answer", value)

    @property
    def _vector(self) -> npt.NDArray[np.float64]:
        return np.array([*(self.weights.get(name, 0.0) for name in FEATURES), self.bias])

    def answers(self, features: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Returns the probabilities that answers are right, from features `(answers, features)`."""
        rows = np.asarray(features, "float64").reshape(-1, len(FEATURES))
        return sigmoid(_with_ones(rows) @ self._vector).astype("float64")

    def unanswered(self, best: float) -> float:
        """Returns the probability that no document answers, if the best answer is so likely."""
        first, second = self.no_answer
        return float(sigmoid(np.array(first + second * float(_logit(best)))))

    def fit(
        self,
        features: Sequence[npt.NDArray[np.float64]],
        is_right: Sequence[npt.NDArray[np.bool_]],
        is_answerable: Sequence[bool],
        strength: float = STRENGTH,
    ) -> Confidence:
        """Fits the weights to questions, each with the features of its answers.

        Normal distributions around these weights, with the precision `strength`, keep the fit close
        to them if there are few questions.
        """
        rows = np.concatenate([np.zeros((0, len(FEATURES))), *features])
        right = np.concatenate([np.zeros(0, bool), *is_right]).astype("float64")
        fitted = fit_logistic(_with_ones(rows), right, self._vector, strength)
        weights = dict(zip(FEATURES, fitted[:-1].tolist(), strict=True))
        changed = dataclasses.replace(self, weights=weights, bias=float(fitted[-1]))
        best = [changed.answers(row).max() if len(row) else 0.0 for row in features]
        inputs = np.stack([np.ones(len(best)), _logit(np.array(best))], axis=1)
        empty = ~np.array(is_answerable, bool)
        # Answerable questions alone do not tell when there is no answer.
        if empty.any():
            labels = empty.astype("float64")
            first, second = fit_logistic(inputs, labels, self.no_answer, strength).tolist()
            # The less likely an answer is, the likelier is that there is none.
            changed = dataclasses.replace(changed, no_answer=(first, min(second, 0.0)))
        return changed

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments in types of JSON."""
        return {"weights": self.weights, "bias": self.bias, "no_answer": list(self.no_answer)}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Confidence:
        """Creates weights from their config."""
        pair = tuple(entry(config, "no_answer", list))
        weights = dict(entry(config, "weights", dict))
        return cls(**{"bias": None, **config, "weights": weights, "no_answer": pair})


def cross_fit(
    start: Confidence,
    features: Sequence[npt.NDArray[np.float64]],
    is_right: Sequence[npt.NDArray[np.bool_]],
    is_answerable: Sequence[bool],
    refuses: bool,
) -> tuple[list[float], list[bool]]:
    """Returns the scores of the best answers by weights of other questions, and which are right.

    The arguments are those of `Confidence.fit`, and whether answers that are less likely than no
    answer are left out.
    """
    fold = np.arange(len(features)) % FOLDS
    scores, right = [], []
    for number in range(FOLDS):
        train = np.flatnonzero(fold != number).tolist()
        fitted = start.fit(
            [features[row] for row in train],
            [is_right[row] for row in train],
            [is_answerable[row] for row in train],
        )
        for row in np.flatnonzero(fold == number).tolist():
            chances = fitted.answers(features[row])
            best = int(np.argmax(chances)) if len(chances) else None
            if best is None or (refuses and fitted.unanswered(chances[best]) > chances[best]):
                continue
            scores.append(float(chances[best]))
            right.append(bool(is_right[row][best]))
    return scores, right


@functools.cache
def default_confidence(has_ranker: bool) -> Confidence:
    """Returns the weights for `minilm-squad`, with or without `minilm-rerank`.

    They are in `confidence.json`, which `python -m benchmarks.confidence` writes.
    """
    path = importlib.resources.files("keras_qa.preprocessing") / "confidence.json"
    config = json.loads(path.read_text("utf-8"))
    return Confidence.from_config(config["ranker" if has_ranker else "search"])


def _with_ones(rows: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.concatenate([rows, np.ones((len(rows), 1))], axis=1)


def _logit(chance: npt.ArrayLike) -> npt.NDArray[np.float64]:
    clipped = np.clip(np.asarray(chance, "float64"), _CLOSEST, 1 - _CLOSEST)
    logits: npt.NDArray[np.float64] = np.log(clipped / (1 - clipped))
    return logits


def fit_logistic(
    inputs: npt.NDArray[np.float64],
    labels: npt.NDArray[np.float64],
    start: npt.ArrayLike,
    strength: float = STRENGTH,
) -> npt.NDArray[np.float64]:
    """Returns the likeliest weights under a normal distribution around `start`, by Newton."""
    center = np.asarray(start, "float64")

    def loss(weights: npt.NDArray[np.float64]) -> float:
        logits, distance = inputs @ weights, weights - center
        likelihood = labels @ logits - np.logaddexp(0, logits).sum()
        return float(strength / 2 * distance @ distance - likelihood)

    weights = center
    for _ in range(_STEPS):
        chance = sigmoid(inputs @ weights)
        slope = inputs.T @ (chance - labels) + strength * (weights - center)
        curvature = (inputs.T * (chance * (1 - chance))) @ inputs
        step = np.linalg.solve(curvature + strength * np.eye(len(center)), slope)
        # A whole step may miss the minimum, where the curvature changes.
        current = loss(weights)
        while np.abs(step).max() > _TOLERANCE and (
            loss(weights - step) > current - slope @ step / 4
        ):
            step = step / 2
        weights = weights - step
        if np.abs(step).max() <= _TOLERANCE:
            break
    return weights
