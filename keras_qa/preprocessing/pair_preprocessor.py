"""Pairs of texts, such as a question and a passage, as inputs of a classifier."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from keras_qa._arguments import check_choice, entry
from keras_qa.preprocessing.preprocessor import Model, Preprocessor, select_inputs
from keras_qa.preprocessing.token_preprocessor import TokenPreprocessor
from keras_qa.text import SubwordTokenizer, Windower
from keras_qa.text.pairs import TRUNCATIONS, encode_pairs
from keras_qa.text.windows import MAX_LENGTH


class PairPreprocessor(Preprocessor):
    """Turns pairs of texts into the inputs of a model of `models.text_classifier`."""

    name = "pairs"
    description = "classifies pairs of texts"
    answers_questions = False
    vectorizer: Windower

    def __init__(self, vectorizer: Windower, truncation: str = "longest_first") -> None:
        # What is truncated if a pair is too long, as in `transformers`.
        check_choice("truncation", truncation, TRUNCATIONS)
        self.vectorizer = vectorizer
        self.truncation = truncation

    def for_questions(self, model: Model) -> Preprocessor:
        # A model that labels tokens marks spans.
        shape = None if isinstance(model.output, dict) else model.output.shape
        if shape is None or len(shape) != 3 or shape[-1] != 2:
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
        return {**super().get_config(), "truncation": self.truncation}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> PairPreprocessor:
        vectorizer = Windower.from_config(entry(config, "vectorizer", dict))
        return cls(vectorizer, entry(config, "truncation", str))


def stack_rows(rows: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Turns a row for each choice, `(rows, time)`, into `(examples, choices, time)`."""
    exists = np.arange(counts.max()) < counts[:, None]
    stacked = np.zeros((*exists.shape, rows.shape[1]), rows.dtype)
    stacked[exists] = rows
    return stacked
