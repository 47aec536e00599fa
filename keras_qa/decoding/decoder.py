"""How the logits of a reader become answers, as a `.keras` file keeps it."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy.typing as npt

from keras_qa._arguments import check_flag, check_fraction, check_number, to_integer
from keras_qa.decoding.spans import Spans, top_spans

# Where nothing was measured, there is no answer if that is likelier than not.
THRESHOLD = 0.5


@dataclasses.dataclass(frozen=True)
class SpanDecoder:
    """What a reader's answers are found by.

    Args:
        max_answer_words: Most words of an answer, punctuation marks included. In scripts without
            spaces two letters of Han, Hiragana or Katakana count as one word, and four of Thai,
            Lao, Khmer or Myanmar.
        no_answer: Whether a text may have no answer.
        no_answer_threshold: Probability of no answer above which there is
            none. `None` for 0.5.
        temperature: What the logits are divided by, see `fit_temperature`.
        whole_words: Whether answers begin and end with words, rather than with
            the pieces that a tokenizer cuts words into. `max_answer_words`
            counts pieces then.

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
        """Probability of no answer above which there is none."""
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
        """The constructor's arguments."""
        return dataclasses.asdict(self)
