"""A functional model as an ONNX graph: each call of a layer by a function of its class."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras

from keras_qa.engine.graph import Graph, all_layers
from keras_qa.layers import AnswerHead, SequenceEncoder, SpanHead, TransformerEncoder
from keras_qa.layers.choice_rows import FoldChoices, JoinChoices
from keras_qa.layers.classification_head import ClassificationHead
from keras_qa.layers.pretrained import MeanPooling
from keras_qa.layers.span_head import TextPositions
from keras_qa.onnx import onnx_heads
from keras_qa.onnx.onnx_encoder import write_encoder
from keras_qa.onnx.onnx_graph import Axes, GraphBuilder, Proto, Value
from keras_qa.onnx.runtime import EMBEDDING, INPUT_NAMES

# What a function returns: names of values.
Values = Value | list[Value]

# The function that adds the nodes of a layer of each class. It takes the graph, the layer and the
# arguments of the call.
LAYERS: dict[type, Callable[..., Values]] = {
    TransformerEncoder: write_encoder,
    TextPositions: onnx_heads.write_text_positions,
    SpanHead: onnx_heads.write_span_head,
    ClassificationHead: onnx_heads.write_classification_head,
    MeanPooling: lambda g, layer, inputs: onnx_heads.mean(g, *inputs),
    FoldChoices: onnx_heads.write_fold_choices,
    JoinChoices: onnx_heads.write_join_choices,
    SequenceEncoder: onnx_heads.write_sequence_encoder,
    keras.layers.Concatenate: lambda g, layer, inputs: g.concat(*inputs, axis=layer.axis),
    AnswerHead: onnx_heads.write_answer_head,
}

# Names in the order of `optimum`.
_ORDER = ("input_ids", "attention_mask", "token_type_ids", "start_logits", "end_logits")
# Names of axes by the rank of an input.
_AXES: dict[int, Axes] = {
    2: ("batch_size", "sequence_length"),
    3: ("batch_size", "num_choices", "sequence_length"),
}


def build_model(model: keras.Model, outputs: Sequence[str]) -> Proto:
    """Returns a functional model as an `onnx.ModelProto`, whose outputs have these names."""
    for layer in all_layers(model):
        if getattr(layer, "quantization_mode", None) is not None:
            raise ValueError(
                f"The layer `{layer.name}` is quantized to {layer.quantization_mode} and cannot be "
                "exported. Export the model as it was before `quantize`, with `--int8`."
            )
    graph = Graph(model)
    unknown = [call.operation for call in graph.calls if type(call.operation) not in LAYERS]
    # Operations of a mask belong to the layer that reads it.
    unknown.sort(key=lambda operation: not isinstance(operation, keras.layers.Layer))
    if unknown:
        raise ValueError(
            f"The layer `{unknown[0].name:.60}` ({type(unknown[0]).__name__}) cannot be exported. "
            "docs/export.md lists the layers that can."
        )
    g = GraphBuilder()
    names = [INPUT_NAMES.get(tensor.name, tensor.name) for tensor in model.inputs]
    # Texts of a classifier have lengths of their own.
    is_sequence = "input_ids" in names
    inputs = {
        name: _AXES[len(tensor.shape)] if is_sequence else ("batch_size", f"{name}_length")
        for name, tensor in zip(names, model.inputs, strict=True)
    }
    values = {id(tensor): name for tensor, name in zip(graph.inputs, names, strict=True)}

    def value_of(leaf: Any) -> Any:
        return values.get(id(leaf), leaf)

    vectors: tuple[Value, int] | None = None
    for call in graph.calls:
        layer = call.operation
        arguments = keras.tree.map_structure(value_of, call.arguments)
        options = keras.tree.map_structure(value_of, call.options)
        options.pop("training", None)
        written = LAYERS[type(layer)](g, layer, *arguments, **options)
        values.update(
            (id(tensor), name)
            for tensor, name in zip(call.outputs, keras.tree.flatten(written), strict=True)
        )
        if isinstance(layer, TransformerEncoder):
            vectors = values[id(call.outputs[0])], layer.hidden_dim
    results = {
        name: (values[id(tensor)], _output_axes(inputs, tensor.shape))
        for name, tensor in zip(outputs, graph.outputs, strict=True)
    }
    if EMBEDDING in results and vectors is not None:
        results = _sentence_embedding(g, *vectors, results)
    return g.model(_in_order(inputs), _in_order(results))


def _in_order(values: Mapping[str, Any]) -> dict[str, Any]:
    names = [*(name for name in _ORDER if name in values), *values]
    return {name: values[name] for name in names}


def _output_axes(inputs: Mapping[str, Axes], shape: tuple[int | None, ...]) -> Axes:
    axes = next(iter(inputs.values()))
    names = [axes[0], axes[1] if len(axes) == 2 else "num_choices", "labels"]
    return [names[axis] if size is None else size for axis, size in enumerate(shape)]


def _sentence_embedding(
    g: GraphBuilder, vectors: Value, width: int, results: Mapping[str, tuple[Value, Axes]]
) -> dict[str, tuple[Value, Axes]]:
    """Normalizes the mean of the vectors, and makes the vectors an output, as `optimum` does."""
    ((name, (mean, axes)),) = results.items()
    square = g.reduce("ReduceSum", g.node("Mul", mean, mean), 1, keepdims=True)
    least = g.constant(1e-12, "float32")
    normal = g.node("Div", mean, g.node("Max", g.node("Sqrt", square), least))
    every = vectors, ("batch_size", "sequence_length", width)
    return {name: (normal, axes), "token_embeddings": every}
