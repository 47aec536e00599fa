"""What feeds and windows need of a tokenizer, whichever it is.

`WordTokenizer` is a `VocabularyTokenizer`, `SubwordTokenizer` a `PairTokenizer`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

from keras_qa.text.pieces import Pieces


class Tokenizer(Protocol):
    """Cuts texts into pieces, and knows an id and the characters of each."""

    @property
    def vocabulary_size(self) -> int:
        """Number of ids, those of padding and of special tokens included."""

    def encode(self, text: str) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
        """Gives the ids of a text's pieces, `(pieces,)`, and their offsets, `(pieces, 2)`."""

    def pieces(self, texts: Sequence[str]) -> Pieces:
        """Gives the pieces of many texts, end to end."""

    def to_json(self) -> str:
        """The whole tokenizer, as a `.keras` file keeps it."""


class VocabularyTokenizer(Tokenizer, Protocol):
    """A tokenizer whose pieces are words: what a `Vectorizer` makes feeds with."""

    @property
    def vocabulary(self) -> list[str]:
        """Every word, at the position of its id."""

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        """Gives the ids of many texts, without their offsets."""


class PairTokenizer(Tokenizer, Protocol):
    """A tokenizer that knows how a question and its text become one sequence."""

    padding_id: int
    before: tuple[int, ...]
    between: tuple[int, ...]
    after: tuple[int, ...]
    segments: tuple[tuple[int, ...], ...]
