"""How long rows of ids are, and rows cut to that length or filled up with padding."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def lengths(ids: np.ndarray) -> np.ndarray:
    """Length of each row up to its last id that is no padding, at least 1.

    Args:
        ids: `(rows, time)` or `(rows, time, ...)`, padded with zeros.

    Returns:
        `(rows,)` integers.

    Examples:
        >>> import numpy as np
        >>> from keras_qa.text.padding import lengths
        >>> lengths(np.array([[5, 0, 6, 0], [0, 0, 0, 0]])).tolist()
        [3, 1]
    """
    present = ids != 0
    if ids.ndim > 2:
        present = present.any(axis=tuple(range(2, ids.ndim)))
    trailing = np.argmax(present[:, ::-1], axis=1)
    return np.where(present.any(axis=1), ids.shape[1] - trailing, 1)


def sizes(inputs: Sequence[np.ndarray]) -> np.ndarray:
    """Lengths of each row along each axis of all inputs, at least 1.

    Args:
        inputs: Arrays of ids, `(rows, time)` or `(rows, sentences, words)`, padded with zeros.

    Returns:
        `(rows, axes)` integers, the axes of one input after those of another.

    Examples:
        >>> import numpy as np
        >>> from keras_qa.text.padding import sizes
        >>> sizes([np.array([[[5, 6, 0], [0, 0, 0]]]), np.array([[7, 0]])]).tolist()
        [[1, 2, 1]]
    """
    columns = []
    for array in inputs:
        columns.append(lengths(array))
        if array.ndim == 3:
            columns.append(lengths(np.asarray(array.any(axis=1))))
    return np.stack(columns, axis=1)


def groups(inputs: Sequence[np.ndarray]) -> tuple[int, ...]:
    """How many of the columns of `sizes` belong to each input."""
    return tuple({1: 0, 3: 2}.get(array.ndim, 1) for array in inputs)


def used(ids: np.ndarray, axis: int) -> int:
    """How much of an axis is not padding in every row, at least 1."""
    others = tuple(other for other in range(ids.ndim) if other != axis)
    used = np.logical_or.reduce(ids, axis=others)[::-1]
    # The first place of the greatest, which is the first of all where nothing is used.
    place = int(used.argmax())
    return len(used) - place if used[place] else 1


def resized(array: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Cuts and fills up with zeros. `np.pad` takes longer than the smallest models do."""
    if array.shape == shape:
        return array
    resized = np.zeros(shape, array.dtype)
    common = tuple(slice(min(sizes)) for sizes in zip(array.shape, shape, strict=True))
    resized[common] = array[common]
    return resized
