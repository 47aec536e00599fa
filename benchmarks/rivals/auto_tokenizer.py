"""Windows by `transformers`, as in its question-answering examples."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np


def windows(
    folder: str, questions: Sequence[str], texts: Sequence[str], max_length: int, stride: int
) -> Callable[[], dict[str, np.ndarray]]:
    """Returns a function that makes the windows of all texts, with offsets, as arrays.

    Args:
        folder: A folder with `tokenizer.json`.
        questions: The questions.
        texts: A text for each.
        max_length: Positions of a window.
        stride: Pieces that a window shares with the one before.

    Raises:
        ImportError: If transformers is not installed.
    """
    import os

    from transformers import PreTrainedTokenizerFast

    tokenizer: Any = PreTrainedTokenizerFast(
        tokenizer_file=os.path.join(folder, "tokenizer.json"), pad_token="[PAD]"
    )

    def make() -> dict[str, np.ndarray]:
        found = tokenizer(
            list(questions),
            list(texts),
            truncation="only_second",
            max_length=max_length,
            stride=stride,
            return_overflowing_tokens=True,
            return_offsets_mapping=True,
            padding="max_length",
        )
        return {name: np.array(value) for name, value in found.items()}

    return make
