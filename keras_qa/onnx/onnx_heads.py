"""Heads, pooling and recurrent encoders as ONNX graphs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from keras_qa._numbers import MASKED
from keras_qa.layers import AnswerHead, SequenceEncoder, SpanHead
from keras_qa.layers.choice_rows import FoldChoices, JoinChoices
from keras_qa.layers.classification_head import ClassificationHead
from keras_qa.layers.span_head import TextPositions
from keras_qa.onnx.onnx_graph import GraphBuilder, Value, activation_name, to_array

# The lowest number of float16, as in `max_over_time`.
_LOWEST = -65504.0


def write_text_positions(g: GraphBuilder, layer: TextPositions, inputs: Sequence[Value]) -> Value:
    """Adds the mask of the text in a sequence of question and text."""
    ids, mask = inputs
    special = g.node("Equal", ids, g.constant(layer.separators[0]))
    for separator in sorted({*layer.separators} - {layer.separators[0]}):
        special = g.node("Or", special, g.node("Equal", ids, g.constant(separator)))
    count = g.node("CumSum", g.cast(special, "INT32"), g.constant(1, "int32"))
    after = g.node("Greater", count, g.constant(0, "int32"))
    text = g.node("And", after, g.node("Not", special))
    return g.node("And", text, g.cast(mask, "BOOL"))


def write_span_head(
    g: GraphBuilder,
    layer: SpanHead,
    inputs: Value | Sequence[Value],
    mask: Value | Sequence[Value | None] | None = None,
) -> list[Value]:
    """Adds the logits of start and end, `(batch, positions)` each."""
    features = inputs if isinstance(inputs, str) else g.concat(*inputs, axis=-1)
    text = mask if mask is None or isinstance(mask, str) else mask[0]
    logits = g.dense(layer.logits, features, f"{layer.name}/logits")
    if text is not None:
        text = g.cast(text, "BOOL")
        if layer.no_answer == "first":
            text = g.node("Or", text, g.node("Equal", g.positions(text), g.constant(0)))
        logits = _masked(g, text, logits, MASKED)
    parts = [g.node("Slice", logits, *map(g.constant, ([0], [1], [1])))]
    others = g.node("Slice", logits, *map(g.constant, ([1], [2**31], [1])))
    if layer.no_answer == "learned":
        learned = g.weight(f"{layer.name}/no_answer", to_array(layer.none)[None, None])
        shape = g.concat(g.size(logits, 0), g.constant([1, 2]))
        parts, others = [g.node("Expand", learned, shape)], logits
    if layer.type_logits is not None:
        first = g.node("Gather", features, g.constant(0), axis=1)
        types = g.dense(layer.type_logits, first, f"{layer.name}/type_logits")
        parts.append(g.concat(*[g.unsqueeze(types, 2)] * 2, axis=2))
    if len(parts) > 1 or layer.no_answer == "learned":
        logits = g.concat(*parts, others, axis=1)
    return [g.node("Gather", logits, g.constant(index), axis=2) for index in (0, 1)]


def write_classification_head(
    g: GraphBuilder, layer: ClassificationHead, inputs: Value, mask: Value | None = None
) -> Value:
    """Adds the logits of labels."""
    state = inputs
    if layer.pooling == "first":
        state = g.node("Gather", inputs, g.constant(0), axis=1)
    elif layer.pooling == "mean":
        state = mean(g, inputs, mask)
    elif layer.pooling == "max":
        state = _max(g, inputs, mask)
    if layer.dense is not None:
        state = g.dense(layer.dense, state, f"{layer.name}/dense")
    state = g.activate(state, activation_name(layer.activate))
    if layer.norm is not None:
        state = g.norm(layer.norm, state, f"{layer.name}/norm")
    logits = g.dense(layer.logits, state, f"{layer.name}/logits")
    if layer.pooling is None and mask is not None:
        logits = _masked(g, g.cast(mask, "BOOL"), logits, 0.0)
    return logits


def write_fold_choices(g: GraphBuilder, layer: FoldChoices, inputs: Sequence[Value]) -> list[Value]:
    """Makes a row of each choice."""
    shape = g.concat(g.constant([-1]), g.size(inputs[-1], 2))
    return [g.node("Reshape", ids, shape) for ids in inputs]


def write_join_choices(g: GraphBuilder, layer: JoinChoices, inputs: Sequence[Value]) -> Value:
    """Joins the logits of the choices of each example."""
    logits, ids = inputs
    is_choice = g.cast(g.reduce("ReduceMax", ids, 2), "BOOL")
    joined = g.node("Reshape", logits, g.size(ids, 0, 2))
    return g.node("Where", is_choice, joined, g.constant(MASKED, "float32"))


def write_answer_head(g: GraphBuilder, layer: AnswerHead, inputs: Value) -> Value:
    """Adds the probabilities of an answer vocabulary."""
    if layer.hidden is not None:
        inputs = g.dense(layer.hidden, inputs, f"{layer.name}/hidden")
    return g.node("Softmax", g.dense(layer.logits, inputs, f"{layer.name}/logits"), axis=-1)


def write_sequence_encoder(g: GraphBuilder, layer: SequenceEncoder, ids: Value) -> Value:
    """Adds an embedding and an LSTM or a GRU, which end with the last id that is not 0."""
    table = g.weight(f"{layer.name}/embedding", to_array(layer.embedding.embeddings))
    words = g.node("Transpose", g.node("Gather", table, ids), perm=[1, 0, 2])
    present = g.node("Not", g.node("Equal", ids, g.constant(0)))
    numbers = g.node("Mul", g.cast(present, "INT64"), g.positions(ids, 1))
    lengths = g.reduce("ReduceMax", numbers, 1)
    directions = [layer.recurrent, *([layer.backward] if layer.bidirectional else [])]
    stacked = [np.stack(parts) for parts in zip(*map(_recurrent_weights, directions), strict=True)]
    weights = [
        g.weight(f"{layer.name}/{name}", value)
        for name, value in zip(("inputs", "states", "biases"), stacked, strict=True)
    ]
    options: dict[str, Any] = {"linear_before_reset": 1} if layer.cell == "gru" else {}
    every, last, *_ = g.nodes(
        layer.cell.upper(),
        2,
        words,
        *weights,
        g.cast(lengths, "INT32"),
        hidden_size=layer.units,
        direction="bidirectional" if layer.bidirectional else "forward",
        **options,
    )
    width = layer.units * len(directions)
    if layer.pooling == "last":
        return g.reshape(g.node("Transpose", last, perm=[1, 0, 2]), 0, width)
    states = g.reshape(g.node("Transpose", every, perm=[2, 0, 1, 3]), 0, 0, width)
    mask = g.cast(present, "INT64")
    return mean(g, states, mask) if layer.pooling == "mean" else _max(g, states, mask)


def _recurrent_weights(layer: Any) -> list[npt.NDArray[np.float32]]:
    """Returns the weights of one direction, with the gates in the order of ONNX."""
    cell = layer.cell
    is_gru = cell.bias.shape[0] == 2
    # Keras has the gates of an LSTM in the order i, f, c, o, and ONNX in the order i, o, f, c.
    order = [0, 1, 2] if is_gru else [0, 3, 1, 2]

    def turned(values: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        gates = np.split(values, len(order), axis=-1)
        return np.concatenate([gates[index] for index in order], axis=-1).T

    bias = to_array(cell.bias)
    biases = bias if is_gru else np.stack([bias, np.zeros_like(bias)])
    parts = [turned(to_array(weight)) for weight in (cell.kernel, cell.recurrent_kernel)]
    return [*parts, np.concatenate([turned(bias) for bias in biases])]


def _masked(g: GraphBuilder, mask: Value, values: Value, otherwise: float) -> Value:
    """Replaces vectors where a mask is false."""
    return g.node("Where", g.unsqueeze(mask, 2), values, g.constant(otherwise, "float32"))


def mean(g: GraphBuilder, values: Value, mask: Value | None) -> Value:
    """Adds the mean of the vectors without padding."""
    if mask is None:
        return g.reduce("ReduceMean", values, 1)
    weights = g.unsqueeze(g.cast(mask, "FLOAT"), 2)
    total = g.reduce("ReduceSum", g.node("Mul", values, weights), 1)
    count = g.reduce("ReduceSum", weights, 1)
    return g.node("Div", total, g.node("Max", count, g.constant(1.0, "float32")))


def _max(g: GraphBuilder, values: Value, mask: Value | None) -> Value:
    if mask is None:
        return g.reduce("ReduceMax", values, 1)
    highest = g.reduce("ReduceMax", _masked(g, g.cast(mask, "BOOL"), values, _LOWEST), 1)
    some = g.cast(g.reduce("ReduceMax", mask, 1, keepdims=True), "BOOL")
    return g.node("Where", some, highest, g.constant(0.0, "float32"))
