"""The table of layers for the tests of values, gradients, masks, configs and saving."""

import dataclasses
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import reference
import span_reference
import story_reference

from keras_qa import layers
from keras_qa.layers.attention import AlignedQuestionEmbedding, BidirectionalAttentionFlow
from keras_qa.layers.classification_head import ClassificationHead
from keras_qa.layers.heads import SupportHead
from keras_qa.layers.order import PreviousSentence, TemporalEncoding
from keras_qa.layers.word_features import ContextEncoder, ExactMatch

IDS = np.array([[3, 1, 4, 1, 5, 9], [2, 6, 5, 0, 0, 0], [7, 0, 0, 0, 0, 0], [0, 0, 0, 0, 0, 0]])
FEATURES = np.random.default_rng(0).normal(size=(4, 6)).astype("float32")
# Stories of three, two and no sentences with one to five words each.
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
    """A layer, its inputs, and the outputs that NumPy computes.

    In lists of inputs and in inputs `(batch, sentences, features)`, zero sentences are masked.
    """

    name: str
    make: Callable[[], Any]
    inputs: Any
    expected: Callable[[Any, list[np.ndarray]], Any]

    @property
    def takes_ids(self) -> bool:
        return not isinstance(self.inputs, list) and self.inputs.dtype.kind == "i"

    def mask(self, inputs: Any) -> Any:
        """The mask to pass to the layer, or `None` if the layer computes it."""
        if isinstance(inputs, list):
            masks = [self.mask(part) for part in inputs]
            return None if all(mask is None for mask in masks) else masks
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


def _classification(pooling: str | None, **options: Any) -> Case:
    if "hidden_dim" in options:
        options |= {"activation": "tanh", "layer_norm_epsilon": 1e-3}
    return Case(
        f"classify-{pooling}-{len(options)}",
        lambda: ClassificationHead(3, pooling, **options),
        STORIES[0],
        lambda features, weights: reference.classification_head(features, weights, pooling),
    )


def _sentences(encoding: str, ids: np.ndarray, **options: Any) -> Case:
    encode = getattr(story_reference, f"sentence_{encoding}")
    shown = "-".join(map(str, (encoding, *options.values(), ids.ndim)))
    return Case(
        f"sentences-{shown}",
        lambda: layers.SentenceEncoder(10, 6, encoding, max_words=4, **options),
        ids,
        lambda ids, weights: story_reference.by_sentence(encode, ids, weights),
    )


def _hops(attention: bool) -> Case:
    def expected(inputs: Any, weights: list[np.ndarray]) -> list[np.ndarray]:
        results = story_reference.memory_hops(inputs, weights, 2)
        return results if attention else results[:1]

    return Case(
        f"hops{'-attention' * attention}",
        lambda: layers.MemoryHops(2, return_attention=attention),
        [STATE, *STORIES[:3]],
        expected,
    )


def _universal(attention: bool) -> Case:
    def expected(inputs: Any, weights: list[np.ndarray]) -> list[np.ndarray]:
        results = story_reference.universal(inputs, weights, 3, 2)
        return results if attention else results[:2]

    return Case(
        f"universal{'-attention' * attention}",
        lambda: layers.UniversalTransformerEncoder(
            num_steps=3, num_heads=2, hidden_dim=5, max_positions=3, return_attention=attention
        ),
        [STATE, STORIES[0]],
        expected,
    )


# Four words and three, two words and an empty question, an empty text and two.
TEXT_AND_QUESTION = [STORIES[0], STORIES[1][[0, 2, 1], :3]]
POSITIONS = np.random.default_rng(7).normal(size=(3, 4, 6)).astype("float32")
# All words of the second text and question match.
TEXT_IDS = np.array([[5, 6, 1, 7, 5], [8, 9, 0, 0, 0], [0, 0, 0, 0, 0]], "float32")
ASKED_IDS = np.array([[5, 1, 9], [9, 8, 0], [3, 0, 0]], "float32")


def _context(cell: str, num_layers: int) -> Case:
    return Case(
        f"context-{cell}-{num_layers}",
        lambda: ContextEncoder(3, num_layers, cell),
        STORIES[0],
        lambda words, weights: span_reference.context(words, weights, cell, num_layers),
    )


def _span(no_answer: str, inputs: Any) -> Case:
    return Case(
        f"span-{no_answer}-{len(inputs)}",
        lambda: layers.SpanHead(no_answer),
        inputs,
        lambda features, weights: span_reference.span_head(features, weights, no_answer),
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
    _classification("first"),
    _classification("first", hidden_dim=5),
    _classification("mean", hidden_dim=5, use_bias=False),
    _classification("max"),
    _classification(None),
    _classification(None, hidden_dim=5, use_bias=False),
    *(_sentences(encoding, STORY_IDS) for encoding in ("matrix", "positional")),
    _sentences("roles", STORY_IDS, num_roles=3),
    _sentences("roles", STORY_IDS[:, 0], num_roles=2),
    _sentences("matrix", STORY_IDS[:, 0]),
    _sentences("positional", STORY_IDS[:, 0]),
    Case("temporal", lambda: TemporalEncoding(3), STORIES[0], story_reference.temporal),
    Case("previous", PreviousSentence, STORIES[0], story_reference.previous),
    _hops(False),
    _hops(True),
    _universal(False),
    _universal(True),
    Case(
        "support",
        lambda: SupportHead(5),
        [STATE, STORIES[0]],
        story_reference.support_head,
    ),
    _context("lstm", 1),
    _context("gru", 2),
    Case(
        "aligned",
        AlignedQuestionEmbedding,
        TEXT_AND_QUESTION,
        span_reference.aligned,
    ),
    Case("flow", BidirectionalAttentionFlow, TEXT_AND_QUESTION, span_reference.flow),
    Case(
        "exact-match",
        ExactMatch,
        [TEXT_IDS, ASKED_IDS],
        lambda ids, weights: np.array(
            [[[1], [0], [0], [0], [1]], [[1], [1], [0], [0], [0]], [[0]] * 5]
        ),
    ),
    _span("learned", POSITIONS),
    _span("first", [POSITIONS, POSITIONS[..., :2]]),
]


def flat(outputs) -> np.ndarray:
    """All outputs as one array with a row for each example."""
    parts = [keras.ops.convert_to_numpy(part) for part in keras.tree.flatten(outputs)]
    return np.concatenate([part.reshape(len(part), -1) for part in parts], axis=1)
