"""One table of layers. It drives the value, gradient, mask, config and save tests."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import reference

from keras_qa import layers

IDS = np.array([[3, 1, 4, 1, 5, 9], [2, 6, 5, 0, 0, 0], [7, 0, 0, 0, 0, 0], [0, 0, 0, 0, 0, 0]])
FEATURES = np.random.default_rng(0).normal(size=(4, 6)).astype("float32")


@dataclasses.dataclass(frozen=True)
class Case:
    """A layer, something to call it on, and what NumPy says it gives."""

    name: str
    make: Callable[[], Any]
    inputs: np.ndarray
    expected: Callable[[np.ndarray, list[np.ndarray]], np.ndarray]

    @property
    def takes_ids(self) -> bool:
        return self.inputs.dtype.kind == "i"


def _encoder(cell: str, bidirectional: bool, pooling: str) -> Case:
    direction = "bidirectional" if bidirectional else "forward"
    return Case(
        f"encoder-{cell}-{direction}-{pooling}",
        lambda: layers.SequenceEncoder(10, 5, 3, cell, bidirectional, pooling),
        IDS,
        lambda ids, weights: reference.encode(ids, weights, cell, bidirectional, pooling),
    )


def _head(hidden_dim: int | None) -> Case:
    return Case(
        f"head-{hidden_dim}",
        lambda: layers.AnswerHead(4, hidden_dim=hidden_dim),
        FEATURES,
        reference.softmax_head,
    )


CASES = [
    *(
        _encoder(cell, bidirectional, pooling)
        for cell in ("lstm", "gru")
        for bidirectional in (False, True)
        for pooling in ("last", "mean", "max")
    ),
    _head(None),
    _head(5),
]
