"""Pairs of texts, such as a question and a passage, as inputs of a classifier."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from keras_qa._arguments import check_choice, check_number, entry
from keras_qa._numbers import sigmoid
from keras_qa.preprocessing.confidence import fit_logistic
from keras_qa.preprocessing.preprocessor import TOKENS, Model, Preprocessor, select_inputs
from keras_qa.preprocessing.selective import PrecisionTable, precision_thresholds
from keras_qa.preprocessing.token_preprocessor import TokenPreprocessor
from keras_qa.text import SubwordTokenizer, Windower
from keras_qa.text.pairs import TRUNCATIONS, encode_pairs
from keras_qa.text.windows import MAX_LENGTH

# The lowest difference between two precisions of a calibration.
_PRECISION_STEP = 0.001


@dataclasses.dataclass(frozen=True)
class Relevance(PrecisionTable):
    """The result of `Reranker.calibrate`: from logits to probabilities of being relevant.

    The probability is `sigmoid(scale * logit + offset)` (Platt 1999, "Probabilistic Outputs for
    Support Vector Machines").
    """

    scale: float
    offset: float

    def __post_init__(self) -> None:
        check_number("scale", self.scale, positive=True)
        check_number("offset", self.offset)
        super().__post_init__()

    @classmethod
    def fit(cls, logits: npt.NDArray[np.float64], labels: npt.NDArray[np.bool_]) -> Relevance:
        """Fits the probabilities to logits of texts, which are relevant or not."""
        inputs = np.stack([logits, np.ones(len(logits))], axis=1)
        scale, offset = fit_logistic(inputs, labels.astype("float64"), (1.0, 0.0)).tolist()
        if scale <= 0:
            raise ValueError(
                "The model does not score texts with the label 1 higher than the others. Check "
                "`labels`: 1 is for a text that answers its question, and 0 for any other."
            )
        precisions, thresholds = precision_thresholds(sigmoid(inputs @ (scale, offset)), labels)
        # There may be one for each text.
        _, kept = np.unique(np.floor(precisions / _PRECISION_STEP), return_index=True)
        return cls(
            scale,
            offset,
            precisions=tuple(precisions[kept].tolist()),
            thresholds=tuple(thresholds[kept].tolist()),
        )

    def scores(self, logits: npt.NDArray[np.float64]) -> npt.NDArray[np.floating[Any]]:
        """Returns the probabilities that texts with these logits are relevant."""
        return sigmoid(self.scale * logits + self.offset)

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Relevance:
        """Creates a calibration from its config."""
        return cls(**{"scale": None, "offset": None, **config, **cls.read_tables(config)})


class PairPreprocessor(Preprocessor):
    """Turns pairs of texts into the inputs of a model of `models.text_classifier`.

    `relevance` has the scores of a ranker, or is `None` if it was not calibrated.
    """

    name = "pairs"
    description = "classifies pairs of texts"
    answers_questions = False
    vectorizer: Windower

    def __init__(self, vectorizer: Windower, truncation: str = "longest_first") -> None:
        # What is truncated if a pair is too long, as in `transformers`.
        check_choice("truncation", truncation, TRUNCATIONS)
        self.vectorizer = vectorizer
        self.truncation = truncation
        self.relevance: Relevance | None = None

    def for_questions(self, model: Model) -> Preprocessor:
        # A model that labels tokens marks spans.
        if (model.task, model.width) != (TOKENS, 2):
            raise ValueError(
                f"`model` must answer questions, but `{model.name}` {self.description}. Pass a "
                "reader, or use this model with `answering.Reranker`."
            )
        longest = min(MAX_LENGTH, self.vectorizer.max_length)
        return TokenPreprocessor(Windower(self.vectorizer.tokenizer, longest))

    def make_feed(
        self, model: Model, first: Sequence[str], second: Sequence[str]
    ) -> dict[str, np.ndarray]:
        """Returns the inputs of a model for pairs of texts, a row for each pair."""
        tokenizer, longest = self.vectorizer.tokenizer, self.vectorizer.max_length
        assert isinstance(tokenizer, SubwordTokenizer)
        feed = encode_pairs(tokenizer, first, second, longest, self.truncation)
        return select_inputs(model, feed)

    def max_length(self, limit: int) -> int:
        return self.vectorizer.max_length

    def get_config(self) -> dict[str, Any]:
        config = {**super().get_config(), "truncation": self.truncation}
        if self.relevance is not None:
            config["relevance"] = self.relevance.get_config()
        return config

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> PairPreprocessor:
        vectorizer = Windower.from_config(entry(config, "vectorizer", dict))
        preprocessor = cls(vectorizer, entry(config, "truncation", str))
        if config.get("relevance") is not None:
            preprocessor.relevance = Relevance.from_config(entry(config, "relevance", dict))
        return preprocessor


def stack_rows(rows: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Turns a row for each choice, `(rows, time)`, into `(examples, choices, time)`."""
    exists = np.arange(counts.max()) < counts[:, None]
    stacked = np.zeros((*exists.shape, rows.shape[1]), rows.dtype)
    stacked[exists] = rows
    return stacked
