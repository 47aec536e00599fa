"""Pairs of texts, such as a question and a passage, as inputs of a classifier."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from keras_qa._arguments import check_choice, entry, must_be, to_integer
from keras_qa.preprocessing.ask_options import Model
from keras_qa.text import SubwordTokenizer
from keras_qa.text.pairs import TRUNCATIONS, encode_pairs


class PairPreprocessor:
    """Turns pairs of texts into the inputs of a model of `models.encoder_classifier`.

    Args:
        tokenizer: The encoder's tokenizer.
        max_length: Maximum number of positions, special tokens included.
        truncation: What is truncated if a pair is too long, as in `transformers`:
            `"longest_first"` or `"only_second"`.

    Attributes:
        name: Its name in a `.keras` file.
        description: What the model does, for messages.

    Raises:
        ValueError: If an argument is out of its range.
    """

    name: ClassVar[str] = "pairs"
    description: ClassVar[str] = "classifies pairs of texts"

    def __init__(
        self, tokenizer: SubwordTokenizer, max_length: int, truncation: str = "longest_first"
    ) -> None:
        self.tokenizer = tokenizer
        special = sum(map(len, (tokenizer.before, tokenizer.between, tokenizer.after)))
        self.max_length = to_integer("max_length", max_length, least=special + 2)
        check_choice("truncation", truncation, TRUNCATIONS)
        self.truncation = truncation

    def make_feed(
        self, model: Model, first: Sequence[str], second: Sequence[str]
    ) -> dict[str, np.ndarray]:
        """Returns the inputs of a model for pairs of texts, a row for each pair."""
        feed = encode_pairs(self.tokenizer, first, second, self.max_length, self.truncation)
        # Padding is id 0 in every model, so that batches can be trimmed.
        feed["token_ids"] = feed["token_ids"] * feed["padding_mask"]
        return {tensor.name: feed[tensor.name] for tensor in model.inputs}

    def get_config(self) -> dict[str, Any]:
        """The constructor arguments, with the tokenizer as JSON."""
        return {
            "tokenizer": self.tokenizer.to_json(),
            "max_length": self.max_length,
            "truncation": self.truncation,
        }

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> PairPreprocessor:
        """Creates a `PairPreprocessor` from the output of `get_config`."""
        unknown = config.keys() - {"tokenizer", "max_length", "truncation"}
        if unknown:
            raise ValueError(must_be("preprocessor", "the settings of pairs", sorted(unknown)))
        tokenizer = SubwordTokenizer(entry(config, "tokenizer", str))
        return cls(**{**config, "tokenizer": tokenizer})
