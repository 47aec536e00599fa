"""Computations with NumPy that several rooms share."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

# Logit of masked positions. It is finite, so that differences are numbers.
MASKED = -1e9

# Maximum number of positions in a batch on a CPU, so that intermediate results stay in its cache.
POSITIONS = 1536


def is_float(text: str) -> bool:
    """Whether a text is a number as `float` reads it."""
    try:
        float(text)
    except ValueError:
        return False
    return True


def rows_in_cache(width: int) -> int:
    """Returns how many rows of a width have at most `POSITIONS`: a power of two, at least 1."""
    return 1 << (max(1, POSITIONS // max(1, width)).bit_length() - 1)


def used_columns(ids: npt.NDArray[np.generic]) -> npt.NDArray[np.int64]:
    """Returns the number of columns of each row without padding at the end, at least 1.

    `ids` are `(rows, columns)`, or have more axes before the columns.
    """
    present = np.asarray(ids.reshape(len(ids), -1, ids.shape[-1]).any(axis=1))
    last = ids.shape[-1] - np.argmax(present[:, ::-1], axis=1)
    return np.where(present.any(axis=1), last, 1)


def sigmoid(logits: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
    """Returns the probabilities of logits. It does not overflow, and small ones are not 0."""
    return np.exp(-np.logaddexp(0, -logits))  # type: ignore[no-any-return]
