"""The table of layers for the tests of values, gradients, masks and saving."""

import dataclasses
from collections.abc import Callable
from typing import Any, ClassVar

import keras
import numpy as np
import pytest
import reference
import span_reference
import story_reference
from backend_calls import compiled_call

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


def _span(no_answer: str, inputs: Any, *types: str) -> Case:
    return Case(
        "-".join(["span", no_answer, str(len(inputs)), *types]),
        lambda: layers.SpanHead(no_answer, answer_types=types),
        inputs,
        lambda features, weights: span_reference.span_head(features, weights, no_answer),
    )


CASES = [
    *(
        # Every two of these settings occur together.
        _encoder(cell, bidirectional, pooling)
        for cell, bidirectional, pooling in (
            ("lstm", False, "last"),
            ("lstm", True, "mean"),
            ("lstm", False, "max"),
            ("gru", True, "last"),
            ("gru", False, "mean"),
            ("gru", True, "max"),
        )
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
    _span("learned", POSITIONS, "no", "yes"),
    _span("first", [POSITIONS, POSITIONS[..., :2]]),
    _span("first", [POSITIONS, POSITIONS[..., :2]], "yes"),
]


def flat(outputs) -> np.ndarray:
    """All outputs as one array with a row for each example."""
    parts = [keras.ops.convert_to_numpy(part) for part in keras.tree.flatten(outputs)]
    return np.concatenate([part.reshape(len(part), -1) for part in parts], axis=1)


def cases(*chosen: Case):
    """Parametrizes a test with cases."""
    return pytest.mark.parametrize("case", chosen, ids=lambda case: case.name)


def weights(layer: keras.layers.Layer) -> list[np.ndarray]:
    rng = np.random.default_rng(1)
    return [rng.normal(size=weight.shape, scale=0.5) for weight in layer.weights]


def outputs_of(layer, case: Case, inputs=None) -> list:
    """What a layer, or a function that calls it, computes."""
    inputs = case.inputs if inputs is None else inputs
    mask = case.mask(inputs)
    outputs = layer(inputs) if mask is None else layer(inputs, mask=mask)
    return keras.tree.flatten(outputs)


def value(layer, case: Case, inputs=None) -> np.ndarray:
    return flat(outputs_of(layer, case, inputs))


def symbolic(case: Case):
    """Inputs of a model, and the tensors for the layer, with a mask for sentences of zeros."""
    parts = case.inputs if isinstance(case.inputs, list) else [case.inputs]
    inputs, tensors = [], []
    for place, part in enumerate(parts):
        shape = (None,) * (part.ndim - 1) if case.takes_ids else part.shape[1:]
        dtype = "int32" if case.takes_ids else "float32"
        inputs.append(keras.Input(shape, dtype=dtype, name=f"inputs_{place}"))
        masked = part.ndim == 3 and not case.takes_ids
        tensors.append(keras.layers.Masking()(inputs[-1]) if masked else inputs[-1])
    return inputs, tensors if isinstance(case.inputs, list) else tensors[0]


class Wrapped:
    """The layer of a case, its symbolic outputs, and a model of it with one output."""

    made: ClassVar[dict[str, "Wrapped"]] = {}

    def __init__(self, case: Case) -> None:
        self.layer = case.make()
        self.call = compiled_call(self.layer)
        inputs, tensors = symbolic(case)
        self.symbols = keras.tree.flatten(self.layer(tensors))
        widths = [part.shape[1:] for part in outputs_of(self.call, case)]
        outputs = [
            part if len(width) == 1 else keras.ops.reshape(part, (-1, int(np.prod(width))))
            for part, width in zip(self.symbols, widths, strict=True)
        ]
        output = keras.layers.Concatenate()(outputs) if len(outputs) > 1 else outputs[0]
        self.model = keras.Model(inputs if isinstance(case.inputs, list) else inputs[0], output)
        self.model.compile(keras.optimizers.SGD(1.0), "mse")


def wrapped(case: Case) -> Wrapped:
    """Makes the layer once for all tests, and resets its weights."""
    if case.name not in Wrapped.made:
        Wrapped.made[case.name] = Wrapped(case)
    made = Wrapped.made[case.name]
    made.layer.set_weights(weights(made.layer))
    return made
