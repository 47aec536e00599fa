"""`GraphBuilder`: nodes and weights of an ONNX graph, in a fixed order and with fixed names."""

from __future__ import annotations

import functools
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import keras
import numpy as np
import numpy.typing as npt

from keras_qa._arguments import import_extra
from keras_qa.data.files import replace_atomically
from keras_qa.layers.keras_layers import Dense
from keras_qa.layers.kernels.tensor_types import Tensor

# The versions that ONNX Runtime 1.14 and onnxruntime-web read, and that `optimum` writes.
OPSET, IR_VERSION = 18, 8

# Smaller tensors stay in the graph.
_TENSOR_SIZE = 1024

# The name of a value in the graph.
Value: TypeAlias = str

# An `onnx.ModelProto`.
Proto: TypeAlias = Any

# Names of the axes of an input or an output, or their sizes.
Axes: TypeAlias = Sequence[str | int]


# Imports the package.
onnx = functools.partial(import_extra, "Export", "onnx", "export")


class GraphBuilder:
    """Collects the nodes and weights of a graph.

    The same calls give the same bytes. Weights that are added twice under one name are stored once.
    """

    def __init__(self) -> None:
        self._onnx = onnx()
        self._nodes: list[Any] = []
        self._weights: dict[str, Any] = {}
        self._constants: dict[tuple[Any, ...], Value] = {}

    def node(self, kind: str, *inputs: Value, **attributes: object) -> Value:
        """Adds a node with one output, and returns the name of the output."""
        return self.nodes(kind, 1, *inputs, **attributes)[0]

    def nodes(self, kind: str, count: int, *inputs: Value, **attributes: object) -> list[Value]:
        """Adds a node with several outputs, and returns their names."""
        name = f"{kind}_{len(self._nodes)}"
        outputs = [name, *(f"{name}_{index}" for index in range(1, count))]
        make = self._onnx.helper.make_node
        self._nodes.append(make(kind, list(inputs), outputs, name=name, **attributes))
        return outputs

    def weight(self, name: str, value: npt.NDArray[Any]) -> Value:
        """Adds a float32 weight, and returns its name."""
        if name not in self._weights:
            array = np.ascontiguousarray(value, dtype="<f4")
            self._weights[name] = self._onnx.numpy_helper.from_array(array, name)
        return name

    def constant(self, value: npt.ArrayLike, dtype: str = "int64") -> Value:
        """Adds a small array, and returns its name."""
        array = np.asarray(value, dtype)
        key = (dtype, array.shape, array.tobytes())
        if key not in self._constants:
            name = f"constant_{len(self._constants)}"
            self._constants[key] = name
            self._weights[name] = self._onnx.numpy_helper.from_array(array, name)
        return self._constants[key]

    def size(self, value: Value, axis: int, end: int | None = None) -> Value:
        """Returns the size of an axis, or of the axes up to `end`, as a vector."""
        bounds = [axis], [axis + 1 if end is None else end]
        return self.node("Slice", self.node("Shape", value), *map(self.constant, bounds))

    def positions(self, value: Value, first: int = 0) -> Value:
        """Returns the numbers of the positions along axis 1, from `first`."""
        length = self.node("Gather", self.node("Shape", value), self.constant(1))
        if first:
            length = self.node("Add", length, self.constant(first))
        return self.node("Range", self.constant(first), length, self.constant(1))

    def reshape(self, value: Value, *sizes: int) -> Value:
        """Reshapes a value; 0 keeps the size of an axis, -1 is computed."""
        return self.node("Reshape", value, self.constant(sizes))

    def concat(self, *values: Value, axis: int = 0) -> Value:
        """Concatenates values."""
        return self.node("Concat", *values, axis=axis)

    def cast(self, value: Value, dtype: str) -> Value:
        """Converts a value to a type of ONNX: `"FLOAT"`, `"BOOL"`, `"INT32"` or `"INT64"`."""
        return self.node("Cast", value, to=self._onnx.TensorProto.DataType.Value(dtype))

    def unsqueeze(self, value: Value, *axes: int) -> Value:
        """Adds axes of size 1."""
        return self.node("Unsqueeze", value, self.constant(axes))

    def reduce(self, kind: str, value: Value, axis: int, keepdims: bool = False) -> Value:
        """Reduces an axis by `ReduceSum`, `ReduceMax` or `ReduceMean`."""
        return self.node(kind, value, self.constant([axis]), keepdims=int(keepdims))

    def split(self, value: Value, size: int) -> list[Value]:
        """Splits the last axis into two parts of a size."""
        return self.nodes("Split", 2, value, self.constant([size, size]), axis=-1)

    def dense(self, layer: Dense, value: Value, name: str) -> Value:
        """Applies a dense layer, with LoRA merged into its kernel."""
        return self.activate(
            self.linear(value, name, *dense_weights(layer)), activation_name(layer.activation)
        )

    def linear(
        self,
        value: Value,
        name: str,
        kernel: npt.NDArray[np.float32],
        bias: npt.NDArray[np.float32] | None,
    ) -> Value:
        """Multiplies by a kernel and adds a bias, if there is one."""
        product = self.node("MatMul", value, self.weight(f"{name}/kernel", kernel))
        if bias is None:
            return product
        return self.node("Add", product, self.weight(f"{name}/bias", bias))

    def norm(self, layer: keras.layers.LayerNormalization, value: Value, name: str) -> Value:
        """Applies a layer normalization over the last axis."""
        weights = [
            self.weight(f"{name}/{part}", to_array(variable))
            for part, variable in (("gamma", layer.gamma), ("beta", layer.beta))
            if variable is not None
        ]
        return self.node("LayerNormalization", value, *weights, axis=-1, epsilon=layer.epsilon)

    def activate(self, value: Value, name: str) -> Value:
        """Applies an activation: one of `ACTIVATIONS`."""

        def times(left: Value, right: Value | float) -> Value:
            if not isinstance(right, str):
                right = self.constant(right, "float32")
            return self.node("Mul", left, right)

        def plus_one(of: Value) -> Value:
            return self.node("Add", of, self.constant(1.0, "float32"))

        if name == "linear":
            return value
        if name == "gelu":
            # ONNX Runtime fuses these nodes.
            scaled = self.node("Div", value, self.constant(np.sqrt(2.0), "float32"))
            return times(times(value, plus_one(self.node("Erf", scaled))), 0.5)
        if name == "gelu_tanh":
            inner = times(times(value, value), 0.044715)
            inner = times(times(value, plus_one(inner)), np.sqrt(2.0 / np.pi))
            return times(times(value, 0.5), plus_one(self.node("Tanh", inner)))
        if name == "silu":
            return times(value, self.node("Sigmoid", value))
        return self.node({"relu": "Relu", "tanh": "Tanh"}[name], value)

    def model(
        self, inputs: Mapping[Value, Axes], outputs: Mapping[str, tuple[Value, Axes]]
    ) -> Proto:
        """Returns the `onnx.ModelProto`: int64 inputs by name, float32 outputs by name."""
        helper, kinds = self._onnx.helper, self._onnx.TensorProto
        for name, (value, _) in outputs.items():
            self._nodes.append(helper.make_node("Identity", [value], [name], name=name))

        def info(name: str, kind: int, axes: Axes) -> Any:
            return helper.make_tensor_value_info(name, kind, list(axes))

        graph = helper.make_graph(
            self._nodes,
            "keras_qa",
            [info(name, kinds.INT64, axes) for name, axes in inputs.items()],
            [info(name, kinds.FLOAT, axes) for name, (_, axes) in outputs.items()],
            list(self._weights.values()),
        )
        opsets = [helper.make_opsetid("", OPSET)]
        return helper.make_model(
            graph, opset_imports=opsets, ir_version=IR_VERSION, producer_name="keras-qa"
        )


# Activations that a graph can hold.
ACTIVATIONS = ("linear", "gelu", "gelu_tanh", "relu", "silu", "tanh")


def activation_name(function: object) -> str:
    """Returns the name of an activation in `ACTIVATIONS`. Raises for any other."""
    name = "linear" if function is None else str(getattr(function, "__name__", function))
    if name not in ACTIVATIONS:
        raise ValueError(
            f"The activation `{name:.60}` cannot be exported, only {', '.join(ACTIVATIONS)} can."
        )
    return name


def weights_size(proto: Proto) -> int:
    """Returns the number of bytes of the weights. `proto.ByteSize()` fails above 2 GiB."""
    return sum(len(tensor.raw_data) for tensor in proto.graph.initializer)


def write_graph(proto: Proto, path: pathlib.Path, data_size: int) -> None:
    """Writes a graph. Weights of more than `data_size` bytes get a file of their own beside it."""
    data = path.with_name(f"{path.name}_data")
    # `onnx` 1.23 adds to an existing file.
    data.unlink(missing_ok=True)
    if weights_size(proto) <= data_size:
        with replace_atomically(path) as partial:
            partial.write_bytes(proto.SerializeToString(deterministic=True))
        return
    whole = onnx().ModelProto()
    whole.CopyFrom(proto)
    onnx().save_model(
        whole,
        path,
        save_as_external_data=True,
        location=data.name,
        size_threshold=_TENSOR_SIZE,
    )


def to_array(variable: Tensor) -> npt.NDArray[np.float32]:
    """Returns the value of a weight as float32."""
    return np.asarray(keras.ops.convert_to_numpy(keras.ops.cast(variable, "float32")), "float32")


def dense_weights(
    layer: Dense,
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32] | None]:
    """Returns the kernel of a dense layer, with LoRA merged by NumPy, and its bias."""
    bias = None if layer.bias is None else to_array(layer.bias)
    if not layer.lora_enabled:
        return to_array(layer.kernel), bias
    # `layer.kernel` is merged by the backend, whose last digits differ.
    kernel = next(to_array(weight) for weight in layer.weights if weight.name == "kernel")
    first, second = to_array(layer.lora_kernel_a), to_array(layer.lora_kernel_b)
    return kernel + np.float32(layer.lora_alpha / layer.lora_rank) * (first @ second), bias
