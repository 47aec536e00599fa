"""The best classes of an answer vocabulary, and their mentions in a text."""

from __future__ import annotations

import re

import numpy as np
import numpy.typing as npt

from keras_qa._arguments import check_positive_integers


def top_k(probabilities: npt.ArrayLike, k: int) -> npt.NDArray[np.int64]:
    """Positions of the `k` highest probabilities of each row, best first.

    Equal probabilities are in the order of their positions.

    Args:
        probabilities: `(batch, classes)`.
        k: Number of positions.

    Returns:
        `(batch, min(k, classes))` integers.

    Raises:
        ValueError: If `k` is not a positive integer.

    Examples:
        >>> import numpy as np
        >>> from keras_qa.decoding import top_k
        >>> top_k(np.array([[0.1, 0.6, 0.3]]), 2).tolist()
        [[1, 2]]
    """
    check_positive_integers(k=k)
    return np.argsort(-np.asarray(probabilities), axis=-1, kind="stable")[..., :k]


def find_mention(text: str, answer: str) -> tuple[int, int] | None:
    """Finds the last mention of an answer in a text, as whole words, ignoring case.

    In a story, later sentences override earlier ones.

    Args:
        text: The text.
        answer: The answer.

    Returns:
        `(start, end)` such that `text[start:end]` is the mention, or `None`.

    Examples:
        >>> from keras_qa.decoding import find_mention
        >>> find_mention("Mary moved to the bathroom.", "bathroom")
        (18, 26)
    """
    if not answer.strip():
        return None
    pattern = rf"(?<!\w){re.escape(answer)}(?!\w)"
    mentions = list(re.finditer(pattern, text, re.IGNORECASE))
    return mentions[-1].span() if mentions else None
