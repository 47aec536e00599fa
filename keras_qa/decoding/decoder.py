"""Decoding of a reader's logits with fixed settings."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy.typing as npt

from keras_qa._arguments import check_flag, check_fraction, check_number, to_integer
from keras_qa.decoding.span_search import Spans, top_spans

# Without calibration: no answer if that is likelier than all answers together.
THRESHOLD = 0.5


@dataclasses.dataclass(frozen=True)
class SpanDecoder:
    """Settings of the decoding of a reader's logits.

    Args:
        max_answer_words: Maximum number of words of an answer, including punctuation marks. In
            scripts without spaces, two letters of Han, Hiragana or Katakana count as one word,
            and four of Thai, Lao, Khmer or Myanmar.
        no_answer: Whether a text may have no answer.
        no_answer_threshold: If the probability of no answer is higher, the
            text has no answer. `None` for 0.5.
        temperature: The logits are divided by it, see `fit_temperature`.
        whole_words: Whether answers begin and end at the borders of words. If
            false, they begin and end with any piece of the tokenizer, and
            `max_answer_words` counts pieces.

    Raises:
        ValueError: If an argument is out of its range.

    Examples:
        >>> import numpy as np
        >>> from keras_qa.decoding import SpanDecoder
        >>> words = np.array([[[-1, -1], [0, 4], [5, 9]]])
        >>> logits = np.log([[3.0, 1.0, 2.0]])
        >>> spans = SpanDecoder(no_answer=True)(logits, logits, words, np.array([0]), k=1)
        >>> spans.score.round(2).tolist(), spans.no_answer.round(2).tolist()
        ([[0.25]], [0.56])
    """

    max_answer_words: int = 15
    no_answer: bool = False
    no_answer_threshold: float | None = None
    temperature: float = 1.0
    whole_words: bool = True

    def __post_init__(self) -> None:
        words = to_integer("max_answer_words", self.max_answer_words)
        object.__setattr__(self, "max_answer_words", words)
        check_flag("no_answer", self.no_answer)
        if self.no_answer_threshold is not None:
            check_fraction("no_answer_threshold", self.no_answer_threshold)
        check_number("temperature", self.temperature, positive=True)
        check_flag("whole_words", self.whole_words)

    @property
    def threshold(self) -> float:
        """`no_answer_threshold`, or its default."""
        return THRESHOLD if self.no_answer_threshold is None else self.no_answer_threshold

    def __call__(
        self,
        start: npt.ArrayLike,
        end: npt.ArrayLike,
        words: npt.ArrayLike,
        example: npt.ArrayLike,
        k: int,
        word_sizes: npt.ArrayLike | None = None,
    ) -> Spans:
        """Finds the `k` best spans of each text, as `top_spans` does."""
        return top_spans(
            start,
            end,
            words,
            example,
            k,
            self.max_answer_words,
            self.no_answer,
            self.temperature,
            word_sizes,
        )

    def get_config(self) -> dict[str, Any]:
        """The constructor arguments."""
        return dataclasses.asdict(self)

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> SpanDecoder:
        """Creates a `SpanDecoder` from the output of `get_config`.

        Args:
            config: The configuration.

        Returns:
            A `SpanDecoder`.
        """
        return cls(**config)
