"""Lengths of padded arrays of ids, and padding to a shape."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def row_lengths(ids: np.ndarray) -> np.ndarray:
    """Length of each row without padding at its end, at least 1.

    Args:
        ids: `(rows, time)` or `(rows, time, ...)`, padded with zeros.

    Returns:
        `(rows,)` integers.

    Examples:
        >>> import numpy as np
        >>> from keras_qa.text.padding import row_lengths
        >>> row_lengths(np.array([[5, 0, 6, 0], [0, 0, 0, 0]])).tolist()
        [3, 1]
    """
    present = ids != 0
    if ids.ndim > 2:
        present = present.any(axis=tuple(range(2, ids.ndim)))
    trailing = np.argmax(present[:, ::-1], axis=1)
    return np.where(present.any(axis=1), ids.shape[1] - trailing, 1)


def axis_lengths(inputs: Sequence[np.ndarray]) -> np.ndarray:
    """Lengths of each row along each axis of all inputs, at least 1.

    Args:
        inputs: Arrays of ids, `(rows, time)` or `(rows, sentences, words)`, padded with zeros.

    Returns:
        `(rows, axes)` integers. The axes of the first input come first.

    Examples:
        >>> import numpy as np
        >>> from keras_qa.text.padding import axis_lengths
        >>> axis_lengths([np.array([[[5, 6, 0], [0, 0, 0]]]), np.array([[7, 0]])]).tolist()
        [[1, 2, 1]]
    """
    columns = []
    for array in inputs:
        columns.append(row_lengths(array))
        if array.ndim == 3:
            columns.append(row_lengths(np.asarray(array.any(axis=1))))
    return np.stack(columns, axis=1)


def count_axes(inputs: Sequence[np.ndarray]) -> tuple[int, ...]:
    """Number of columns that each input has in `axis_lengths`."""
    return tuple({1: 0, 3: 2}.get(array.ndim, 1) for array in inputs)


def used_length(ids: np.ndarray, axis: int) -> int:
    """Length of an axis without padding at its end, over all rows, at least 1."""
    others = tuple(other for other in range(ids.ndim) if other != axis)
    used = np.logical_or.reduce(ids, axis=others)[::-1]
    # `argmax` gives the first true entry, or 0 if all are false.
    place = int(used.argmax())
    return len(used) - place if used[place] else 1


def resize(array: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Cuts an array or pads it with zeros at the end of each axis."""
    if array.shape == shape:
        return array
    # `np.pad` takes longer than a step of a small model.
    resized = np.zeros(shape, array.dtype)
    common = tuple(slice(min(sizes)) for sizes in zip(array.shape, shape, strict=True))
    resized[common] = array[common]
    return resized
