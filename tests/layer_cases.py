"""One table of layers. It drives the value, gradient, mask, config and save tests."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import reference
import story_reference

from keras_qa import layers

IDS = np.array([[3, 1, 4, 1, 5, 9], [2, 6, 5, 0, 0, 0], [7, 0, 0, 0, 0, 0], [0, 0, 0, 0, 0, 0]])
FEATURES = np.random.default_rng(0).normal(size=(4, 6)).astype("float32")
# Stories of three, two and no sentences, of one to five words each.
STORY_IDS = np.zeros((3, 3, 5), "int64")
STORY_IDS[0] = [[3, 1, 4, 1, 5], [9, 2, 0, 0, 0], [6, 5, 3, 0, 0]]
STORY_IDS[1, :2] = [[8, 0, 0, 0, 0], [9, 7, 9, 3, 0]]
STATE = np.random.default_rng(1).normal(size=(3, 6)).astype("float32")
STORIES = [
    np.random.default_rng(seed).normal(size=(3, 4, 6)).astype("float32")
    * (np.arange(4)[:, None] < np.array([4, 2, 0])[:, None, None])
    for seed in range(2, 6)
]


@dataclasses.dataclass(frozen=True)
class Case:
    """A layer, something to call it on, and what NumPy says it gives.

    In lists of inputs, and in `(batch, sentences, features)`, sentences of zeros are masked.
    """

    name: str
    make: Callable[[], Any]
    inputs: Any
    expected: Callable[[Any, list[np.ndarray]], Any]

    @property
    def takes_ids(self) -> bool:
        return not isinstance(self.inputs, list) and self.inputs.dtype.kind == "i"

    def mask(self, inputs: Any) -> Any:
        """The mask to call the layer with, or `None` where it finds its own."""
        if isinstance(inputs, list):
            return [self.mask(part) for part in inputs]
        return (inputs != 0).any(axis=-1) if inputs.dtype.kind == "f" and inputs.ndim == 3 else None


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


def _sentences(encoding: str, ids: np.ndarray, *args: Any, **options: Any) -> Case:
    encode = getattr(story_reference, f"sentence_{encoding}")
    shown = "-".join(map(str, (encoding, *options.values(), ids.ndim)))
    return Case(
        f"sentences-{shown}",
        lambda: layers.SentenceEncoder(10, 6, encoding, max_words=4, **options),
        ids,
        lambda ids, weights: story_reference.by_sentence(encode, ids, weights, *args),
    )


def _hops(tying: str, attention: bool) -> Case:
    memories = STORIES[:3] if tying == "adjacent" else STORIES[:2]

    def expected(inputs: Any, weights: list[np.ndarray]) -> list[np.ndarray]:
        results = story_reference.memory_hops(inputs, weights, 2, tying)
        return results if attention else results[:1]

    return Case(
        f"hops-{tying}{'-attention' * attention}",
        lambda: layers.MemoryHops(2, tying, return_attention=attention),
        [STATE, *memories],
        expected,
    )


def _universal(halting: bool, attention: bool, roles: int = 1) -> Case:
    heads = 2 if roles == 1 else 1

    def expected(inputs: Any, weights: list[np.ndarray]) -> list[np.ndarray]:
        results = story_reference.universal(inputs, weights, 3, heads, halting, roles)
        return results if attention else results[:2]

    return Case(
        f"universal{'-halting' * halting}{'-attention' * attention}{'-roles' * (roles > 1)}",
        lambda: layers.UniversalTransformerEncoder(
            num_steps=3,
            num_heads=heads,
            num_roles=roles,
            hidden_dim=5,
            max_positions=3,
            halting=halting,
            ponder_cost=0.0,
            return_attention=attention,
        ),
        [STATE, STORIES[0]],
        expected,
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
    *(_sentences(encoding, STORY_IDS) for encoding in ("matrix", "multiplicative", "positional")),
    _sentences("roles", STORY_IDS, 3, num_roles=3),
    _sentences("roles", STORY_IDS[:, 0], 2, num_roles=2),
    _sentences("matrix", STORY_IDS[:, 0]),
    _sentences("positional", STORY_IDS[:, 0]),
    _sentences("recurrent", STORY_IDS, "gru", True),
    _sentences("recurrent", STORY_IDS, "lstm", False, cell="lstm", bidirectional=False),
    _sentences("attention", STORY_IDS, 2, num_heads=2),
    Case("temporal", lambda: layers.TemporalEncoding(3), STORIES[0], story_reference.temporal),
    _hops("adjacent", False),
    _hops("layer", True),
    _universal(False, False),
    _universal(True, False),
    _universal(False, True),
    _universal(True, True, roles=3),
    Case(
        "support",
        lambda: layers.SupportHead(5),
        [STATE, STORIES[0]],
        story_reference.support_head,
    ),
]
