"""`layers.TransformerEncoder` as an ONNX graph: one function for all families of encoders."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_qa.layers import TransformerEncoder
from keras_qa.layers.transformer_block import TransformerBlock
from keras_qa.layers.transformer_settings import rows_of_distances
from keras_qa.onnx.onnx_graph import (
    GraphBuilder,
    Value,
    activation_name,
    dense_weights,
    to_array,
)

# Added to the scores of positions that are not attended to.
HIDDEN = -10000.0


@dataclasses.dataclass
class Positions:
    """What the blocks share: values that depend on the sequence's length and the mask."""

    # The padding mask, `(batch, time)` int64.
    mask: Value
    # The position of the key minus that of the query, plus `max_length - 1`: `(time, time)`.
    distances: Value | None = None
    # For disentangled attention: the row of the table for each pair of query and key, and of key
    # and query, `(batch, heads, time, time)`, and the embeddings of relative positions.
    rows: tuple[Value, Value] | None = None
    table: Value | None = None
    # For relative biases: `(1, heads, time, time)`.
    bias: Value | None = None
    # The bias of attention by the window.
    masks: dict[int, Value] = dataclasses.field(default_factory=dict)
    # Cosines and sines, by the longest wavelength.
    turns: dict[float, tuple[Value, Value]] = dataclasses.field(default_factory=dict)


def write_encoder(g: GraphBuilder, encoder: TransformerEncoder, inputs: Sequence[Value]) -> Value:
    """Adds an encoder: ids in, `(batch, time, hidden_dim)` out."""
    s, name = encoder.settings, encoder.name
    by_name = dict(zip(encoder.input_names, inputs, strict=True))
    at = Positions(by_name["padding_mask"])
    state = _embeddings(g, encoder, by_name["token_ids"], by_name.get("segment_ids"))
    _relate(g, encoder, state, at)
    repeats = s["num_layers"] // len(encoder.blocks)
    for index, window in enumerate(s["windows"] or [0] * s["num_layers"]):
        block = index // repeats
        bias = _attention_bias(g, s, window, at)
        state = _block(g, s, encoder.blocks[block], state, bias, at, f"{name}/block_{block}")
    if encoder.final_norm is not None:
        state = g.norm(encoder.final_norm, state, f"{name}/final_norm")
    if encoder.final_dense is not None:
        state = g.dense(encoder.final_dense, state, f"{name}/final_dense")
        state = g.activate(state, activation_name(s["activation"]))
        state = g.norm(encoder.final_dense_norm, state, f"{name}/final_dense_norm")
    return state


def _embeddings(
    g: GraphBuilder, encoder: TransformerEncoder, ids: Value, segments: Value | None
) -> Value:
    name = encoder.name

    def table(layer: Any, part: str) -> Value:
        return g.weight(f"{name}/{part}", to_array(layer.embeddings))

    state = g.node("Gather", table(encoder.tokens, "tokens"), ids)
    if encoder.positions is not None:
        rows = to_array(encoder.positions.embeddings)[encoder.settings["position_offset"] :]
        every = g.weight(f"{name}/positions", rows)
        state = g.node("Add", state, g.node("Gather", every, g.positions(ids)))
    if segments is not None:
        vectors = g.node("Gather", table(encoder.segments, "segments"), segments)
        state = g.node("Add", state, vectors)
    elif encoder.segments is not None:
        row = to_array(encoder.segments.embeddings)[0]
        state = g.node("Add", state, g.weight(f"{name}/segment", row))
    state = g.norm(encoder.norm, state, f"{name}/norm")
    return state if encoder.project is None else g.dense(encoder.project, state, f"{name}/project")


def _relate(g: GraphBuilder, encoder: TransformerEncoder, state: Value, at: Positions) -> None:
    """Adds what blocks need of relative positions, and windows of local attention."""
    s, name = encoder.settings, encoder.name
    kind = s["relative_positions"]
    if kind is None and not any(s["windows"] or []):
        return
    positions = g.positions(at.mask)
    keys, queries = g.unsqueeze(positions, 0), g.unsqueeze(positions, 1)
    first = g.constant(s["max_length"] - 1)
    at.distances = g.node("Add", g.node("Sub", keys, queries), first)
    if kind == "bias":
        # A row for each distance, so that the graph looks up numbers and not rows.
        table = to_array(encoder.relative.embeddings)[rows_of_distances(s)].T
        every = g.weight(f"{name}/relative", table)
        at.bias = g.unsqueeze(g.node("Gather", every, at.distances, axis=1), 0)
    elif kind == "disentangled":
        at.table = g.weight(f"{name}/relative", to_array(encoder.relative.embeddings))
        if encoder.relative_norm is not None:
            at.table = g.norm(encoder.relative_norm, at.table, f"{name}/relative_norm")
        rows = g.node("Gather", g.constant(rows_of_distances(s)), at.distances)
        heads = g.constant([s["num_heads"]])
        length = g.size(at.mask, 1)
        shape = g.concat(g.size(state, 0), heads, length, length)
        turned = g.node("Transpose", rows, perm=[1, 0])
        at.rows = g.node("Expand", rows, shape), g.node("Expand", turned, shape)


def _attention_bias(g: GraphBuilder, s: dict[str, Any], window: int, at: Positions) -> Value:
    """Returns what is added to the scores, broadcast to `(batch, heads, time, time)`."""
    if window in at.masks:
        return at.masks[window]
    present = g.unsqueeze(g.unsqueeze(at.mask, 1), 2)
    if window:
        assert at.distances is not None
        far = g.node("Abs", g.node("Sub", at.distances, g.constant(s["max_length"] - 1)))
        near = g.cast(g.node("LessOrEqual", far, g.constant(window)), "INT64")
        present = g.node("Mul", present, near)
    absent = g.node("Sub", g.constant(1.0, "float32"), g.cast(present, "FLOAT"))
    bias = g.node("Mul", absent, g.constant(HIDDEN, "float32"))
    if at.bias is not None:
        bias = g.node("Add", bias, at.bias)
    at.masks[window] = bias
    return bias


def _block(
    g: GraphBuilder,
    s: dict[str, Any],
    block: TransformerBlock,
    inputs: Value,
    bias: Value,
    at: Positions,
    name: str,
) -> Value:
    """Adds attention and two dense layers, each with a residual connection."""

    def before(layer: Any, state: Value, part: str) -> Value:
        is_normed = block.pre_norm and layer is not None
        return g.norm(layer, state, f"{name}/{part}") if is_normed else state

    def after(layer: Any, state: Value, part: str) -> Value:
        return state if block.pre_norm else g.norm(layer, state, f"{name}/{part}")

    read = before(block.attention_norm, inputs, "attention_norm")
    update = _attention(g, s, block, read, bias, at, f"{name}/attention")
    state = after(block.attention_norm, g.node("Add", update, inputs), "attention_norm")
    hidden = before(block.output_norm, state, "output_norm")
    hidden = g.dense(block.hidden, hidden, f"{name}/hidden")
    if block.gated:
        hidden, gate = g.split(hidden, block.intermediate_dim)
        hidden = g.node("Mul", g.activate(hidden, activation_name(block.activate)), gate)
    update = g.dense(block.output_dense, hidden, f"{name}/output_dense")
    return after(block.output_norm, g.node("Add", update, state), "output_norm")


def _attention(
    g: GraphBuilder,
    s: dict[str, Any],
    block: TransformerBlock,
    inputs: Value,
    bias: Value,
    at: Positions,
    name: str,
) -> Value:
    layer = block.attention
    kernel, offsets = dense_weights(layer.projection)
    kernels = np.split(kernel, 3, axis=1)
    biases = [None] * 3 if offsets is None else np.split(offsets, 3)
    heads, size = layer.num_heads, s["hidden_dim"] // layer.num_heads
    scale = (size * (1 + len(layer.relative_terms))) ** 0.5

    def project(state: Value, part: int) -> Value:
        """Computes the queries, the keys or the values: part 0, 1 or 2 of the projection."""
        part_name = f"{name}/{('query', 'key', 'value')[part]}"
        return g.linear(state, part_name, kernels[part], biases[part])

    def by_head(part: int, *order: int) -> Value:
        vectors = g.reshape(project(inputs, part), 0, 0, heads, size)
        return g.node("Transpose", vectors, perm=list(order))

    query, value = by_head(0, 0, 2, 1, 3), by_head(2, 0, 2, 1, 3)
    if layer.max_wavelength is None and not layer.relative_terms:
        turned = by_head(1, 0, 2, 3, 1)
    else:
        key = by_head(1, 0, 2, 1, 3)
        if layer.max_wavelength is not None:
            query, key = (_rotate(g, part, layer.max_wavelength, size, at) for part in (query, key))
        turned = g.node("Transpose", key, perm=[0, 1, 3, 2])
    scores = g.node("MatMul", query, turned)

    def relative(part: int, vectors: Value, order: int) -> Value:
        assert at.table is not None
        assert at.rows is not None
        table = g.reshape(project(at.table, part), 0, heads, size)
        table = g.node("Transpose", table, perm=[1, 2, 0])
        products = g.node("MatMul", vectors, table)
        return g.node("GatherElements", products, at.rows[order], axis=3)

    if "c2p" in layer.relative_terms:
        scores = g.node("Add", scores, relative(1, query, 0))
    if "p2c" in layer.relative_terms:
        by_key = relative(0, key, 1)
        scores = g.node("Add", scores, g.node("Transpose", by_key, perm=[0, 1, 3, 2]))
    scores = g.node("Div", scores, g.constant(scale, "float32"))
    weights = g.node("Softmax", g.node("Add", scores, bias), axis=3)
    vectors = g.node("Transpose", g.node("MatMul", weights, value), perm=[0, 2, 1, 3])
    joined = g.reshape(vectors, 0, 0, s["hidden_dim"])
    return g.dense(layer.output_projection, joined, f"{name}/output_projection")


def _rotate(g: GraphBuilder, value: Value, wavelength: float, size: int, at: Positions) -> Value:
    """Applies rotary position embeddings to `(batch, heads, time, features)`."""
    if wavelength not in at.turns:
        rates = (wavelength ** (-np.arange(0, size, 2, dtype="float32") / size)).astype("float32")
        positions = g.unsqueeze(g.cast(g.positions(at.mask), "FLOAT"), 1)
        angles = g.node("Mul", positions, g.constant(rates, "float32"))
        at.turns[wavelength] = g.node("Cos", angles), g.node("Sin", angles)
    cosine, sine = at.turns[wavelength]
    left, right = g.split(value, size // 2)

    def product(vector: Value, factor: Value) -> Value:
        return g.node("Mul", vector, factor)

    first = g.node("Sub", product(left, cosine), product(right, sine))
    second = g.node("Add", product(right, cosine), product(left, sine))
    return g.concat(first, second, axis=-1)
