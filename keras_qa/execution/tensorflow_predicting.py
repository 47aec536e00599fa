"""How models predict on TensorFlow: programs for all shapes, and by XLA where that pays."""

from __future__ import annotations

import collections
import contextlib
import contextvars
import functools
import math
import pathlib
import threading
import time
import types
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_qa.execution import threads
from keras_qa.execution.filling import LOST_BY_SHARING
from keras_qa.execution.graph import ends_early, has_large_products
from keras_qa.execution.signature import Signature
from keras_qa.execution.tensorflow_tensors import to_tensor
from keras_qa.kernels import precomputed
from keras_qa.kernels.early import ending_early
from keras_qa.kernels.tensorflow import keras_is_fused
from keras_qa.text.padding import resized, trim, trimmed_shape


def has_accelerator() -> bool:
    """Whether models run on something else than a CPU."""
    return bool(tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("TPU"))


def call(layer: keras.layers.Layer, *arguments: Any, **options: Any) -> Any:
    """Calls a layer that another holds: see PyTorch's. Here a program is traced once."""
    if _fusing.get() and _is_plain(layer):
        if isinstance(layer, keras.layers.Dense):
            return _dense(layer, *arguments)
        return _layer_normalization(layer, *arguments)
    return layer(*arguments, **options)


# Whether a program is being traced that TensorFlow itself runs: XLA needs no help to fuse.
_fusing: contextvars.ContextVar[bool] = contextvars.ContextVar("fusing", default=False)


def _is_plain(layer: keras.layers.Layer) -> bool:
    """Whether a layer is a layer normalisation over the features, or a dense one without LoRA and
    quantization, and its activation one that looks at the last axis alone, as all functions of
    Keras do that are given no other; in float32."""
    if not layer.built or not layer.compute_dtype == layer.variable_dtype == "float32":
        return False
    if type(layer) is keras.layers.LayerNormalization:
        return layer.axis in (-1, [-1]) and not layer.rms_scaling
    return (
        isinstance(layer, keras.layers.Dense)
        and isinstance(layer.activation, (types.FunctionType, types.NoneType))
        and not layer.lora_enabled
        and layer.quantization_mode is None
    )


def _dense(layer: keras.layers.Dense, inputs: tf.Tensor) -> tf.Tensor:
    """What a dense layer gives, in the form that TensorFlow takes for one operation.

    A change of shape between product, bias and activation leaves each an operation of its own,
    which takes twice as long in all.
    """
    inputs = tf.cast(inputs, "float32")
    found = tf.matmul(tf.reshape(inputs, (-1, inputs.shape[-1])), layer.kernel.value)
    if layer.bias is not None:
        found = tf.nn.bias_add(found, layer.bias.value)
    if layer.activation is not None:
        found = layer.activation(found)
    found = tf.reshape(found, tf.concat([tf.shape(inputs)[:-1], [found.shape[-1]]], axis=0))
    found.set_shape((*inputs.shape[:-1], found.shape[-1]))
    return found


def _layer_normalization(layer: keras.layers.LayerNormalization, inputs: tf.Tensor) -> tf.Tensor:
    """What a layer normalisation gives, in two thirds of the operations that Keras asks for."""
    centred = tf.cast(inputs, "float32")
    centred -= tf.reduce_mean(centred, axis=-1, keepdims=True)
    variance = tf.reduce_mean(tf.square(centred), axis=-1, keepdims=True)
    found = centred * tf.math.rsqrt(variance + layer.epsilon)
    if layer.gamma is not None:
        found *= layer.gamma.value
    return found if layer.beta is None else found + layer.beta.value


@functools.cache
def _device_of_threads() -> str:
    """The device of a thread for which none is named."""
    with threads.at_once(lambda: tf.zeros(()).device) as start:
        return str(threads.awaited(start()))


def has_room() -> bool:
    """Whether XLA may compile more. TensorFlow keeps what it compiled as long as the process lives,
    a hundred mappings of memory for each program, and aborts where Linux gives it no more."""
    try:
        mappings = pathlib.Path("/proc/self/maps").read_bytes().count(b"\n")
        most = int(pathlib.Path("/proc/sys/vm/max_map_count").read_text())
    except OSError:
        return True
    return mappings < most // 2


def suits_xla(model: keras.Model) -> bool:
    if keras_is_fused():
        # Keras decides well on a GPU. XLA cannot compile a call of cuDNN.
        return bool(model.jit_compile)
    # A pretrained backbone takes minutes to compile, and its few large products gain nothing.
    supported = all(getattr(layer, "supports_jit", True) for layer in model.layers)
    return supported and not has_large_products(model)


# How many times as long as tracing XLA takes, until that is known.
TIMES_TRACING = 5

# Shapes that XLA compiles for a model, at most: what it has compiled is never freed.
MOST_SHAPES = 64


class BatchPredictor:
    """Predicts batches by one program for all shapes, and by XLA where that pays.

    XLA takes a second or more to compile a shape, and then a fraction of the time. A shape has a
    program of its own once it has spent more time in the program for all, or lost more in that of a
    wider shape, than XLA takes: what it took for the last shape of the model, and at first several
    times what tracing took.

    Args:
        model: A functional model.
        signature: Its signature, which says that all of it is known.
    """

    def __init__(self, model: keras.Model, signature: Signature) -> None:
        self.model = model
        self.layers = signature.layers
        self.ends_early = ends_early(model)
        # Whether one thread is to run the operations of the program for all shapes, each in many.
        self.in_order = has_large_products(model) and not has_accelerator()
        self.programs: dict[Any, Callable[..., Any]] = {}
        self.for_all: Callable[..., Any] | None = None
        self.cost = 0.0
        self.spent: dict[Any, float] = collections.defaultdict(float)
        self.lock = threading.RLock()

    def at_once(self) -> contextlib.AbstractContextManager[Callable[..., Any]]:
        """Gives a `start` that comes back at once: batches are predicted in threads."""
        # What a `tf.device` around the prediction says, a thread would not know.
        device = tf.zeros(()).device
        # TensorFlow makes what it runs anew where a device is named.
        if device == _device_of_threads():
            return threads.at_once(self._start)

        def start(inputs: list[np.ndarray], tables: Any) -> Any:
            with tf.device(device):
                return self._start(inputs, tables)

        return threads.at_once(start)

    def precompute(self, words: int) -> Any:
        """Computes what hangs on the weights alone, for batches of so many words together."""
        paying = self._paying()
        layers = precomputed.layers(self.layers, words) if paying else ()
        return paying, layers, self._precomputed(layers)

    def start(self, inputs: list[np.ndarray], tables: Any = None) -> Any:
        """Predicts a batch by itself.

        Args:
            inputs: Arrays in the order of the model's inputs.
            tables: What `precompute` gave, if the weights have not changed since.

        Returns:
            What `finish` is to be given.
        """
        return self._start(inputs, tables, in_order=True)

    def _start(self, inputs: list[np.ndarray], tables: Any, in_order: bool = False) -> Any:
        paying, layers, given = tables or (self._paying(), (), [])
        shapes = _shapes(inputs)
        try:
            outputs = self._by_xla(paying, layers, given, shapes, inputs)
        except tf.errors.InvalidArgumentError:
            # XLA does not read weights of a device other than the one that is asked for.
            self.spent.pop(shapes, None)
            paying.discard(shapes)
            outputs = None
        if outputs is not None:
            return outputs
        if self.ends_early:
            # This program takes any width, and reads all of it.
            inputs = list(map(trim, inputs))
        program = self.for_all or self._for_all()
        begun = time.perf_counter()
        # Handed from thread to thread, few large operations take a tenth longer.
        with _one_thread() if in_order and self.in_order else contextlib.nullcontext():
            outputs = program(*map(to_tensor, inputs))
        # The first call of a shape makes what others find.
        self.spent[shapes] += time.perf_counter() - begun if shapes in self.spent else 0.0
        return outputs

    def _by_xla(self, paying: Any, layers: Any, given: Any, shapes: Any, inputs: Any) -> Any:
        """What a program for this shape gives, if there is one or it pays."""
        program = self.programs.get((layers, shapes))
        if program is None and shapes in paying:
            program = self._compiled(layers, given, inputs)
        if program is None:
            return None
        if self.ends_early:
            return self._by_length(program, paying, layers, given, inputs)
        return _run(program, given, inputs)

    def _by_length(
        self, program: Callable[..., Any], paying: Any, layers: Any, given: Any, inputs: Any
    ) -> Any:
        """Runs a program that ends with the longest row, or one for that length where it pays."""
        shapes = tuple(map(trimmed_shape, inputs))
        is_narrower = sum(map(math.prod, shapes)) < sum(map(math.prod, _shapes(inputs)))
        if is_narrower and shapes in paying:
            cut = list(map(resized, inputs, shapes))
            own = self.programs.get((layers, shapes))
            own = own or self._compiled(layers, given, cut, early=False)
            if own is not None:
                return _run(own, given, cut)
        begun = time.perf_counter()
        outputs = _run(program, given, inputs)
        if is_narrower:
            self.spent[shapes] += LOST_BY_SHARING * (time.perf_counter() - begun)
        return outputs

    def finish(self, outputs: Any) -> list[np.ndarray]:
        """Waits for a batch, and gives arrays in the order of the model's outputs."""
        return [tensor.numpy() for tensor in threads.awaited(outputs)]

    def _precomputed(self, layers: tuple[Any, ...]) -> Any:
        # A first prediction makes one program at most. The product of a table takes XLA as long as
        # Keras' operations cost in some forty calls.
        if not layers or not self.programs:
            return precomputed.compute(layers)
        with self.lock:
            if layers not in self.programs:
                compute = functools.partial(precomputed.compute, layers)
                function = tf.function(compute, jit_compile=True, autograph=False)
                self.programs[layers] = _flat(function.get_concrete_function())
        try:
            return self.programs[layers]()
        except tf.errors.InvalidArgumentError:
            return precomputed.compute(layers)

    def _paying(self) -> set[Any]:
        """The shapes that XLA is worth its time for."""
        # Other threads may predict.
        spent = list(self.spent.items())
        return {shapes for shapes, seconds in spent if seconds > self.cost}

    def _for_all(self) -> Callable[..., Any]:
        # While a program is traced, Keras notes things on the layers.
        with self.lock:
            if self.for_all is None:
                begun = time.perf_counter()
                self.for_all = self._traced((), [], [tensor.shape for tensor in self.model.inputs])
                self.cost = max(self.cost, TIMES_TRACING * (time.perf_counter() - begun))
            return self.for_all

    def _compiled(
        self, layers: Any, given: Any, inputs: list[np.ndarray], early: bool = True
    ) -> Callable[..., Any] | None:
        shapes = _shapes(inputs)
        # The first batches come at once, and XLA would compile a shape that they share twice.
        with self.lock:
            program = self.programs.get((layers, shapes))
            if program is not None or not suits_xla(self.model):
                return program
            # To count mappings takes a millisecond.
            if len(self.programs) >= MOST_SHAPES or not has_room():
                return None
            begun = time.perf_counter()
            program = self._traced(layers, given, shapes, jit_compile=True, early=early)
            # XLA compiles at the first call.
            _run(program, given, inputs)
            self.cost = time.perf_counter() - begun
            # What has been paid is used, also where it was more than had been thought.
            self.spent[shapes] = math.inf
            self.programs[layers, shapes] = program
            return program

    def _traced(
        self,
        layers: Any,
        given: Any,
        shapes: Any,
        jit_compile: bool = False,
        early: bool = False,
    ) -> Callable[..., Any]:
        tables = keras.tree.flatten(given)

        def call(*tensors: tf.Tensor) -> Any:
            packed = keras.tree.pack_sequence_as(given, tensors[: len(tables)])
            inputs = keras.tree.pack_sequence_as(self.model.input, tensors[len(tables) :])
            token = _fusing.set(not jit_compile)
            try:
                with precomputed.giving(layers, packed), ending_early(early):
                    return keras.tree.flatten(self.model(inputs, training=False))
            finally:
                _fusing.reset(token)

        # Keras leaves XLA out on a CPU, where a loop of small steps costs TensorFlow eight times
        # what it costs XLA. XLA compiles for each shape, so the trace may know it too.
        function = tf.function(call, jit_compile=jit_compile, autograph=False)
        specs = [tf.TensorSpec(table.shape, table.dtype) for table in tables]
        specs += [
            tf.TensorSpec(shape, tensor.dtype)
            for shape, tensor in zip(shapes, self.model.inputs, strict=True)
        ]
        program = function.get_concrete_function(*specs)
        # TensorFlow does not do these in one thread.
        self.in_order = self.in_order and not any(
            operation.type.endswith(("While", "If", "Case"))
            for operation in program.graph.get_operations()
        )
        return _flat(program)


def _shapes(inputs: list[np.ndarray]) -> tuple[tuple[int, ...], ...]:
    return tuple(array.shape for array in inputs)


def _run(program: Callable[..., Any], given: Any, inputs: list[np.ndarray]) -> Any:
    return program(*keras.tree.flatten(given), *map(to_tensor, inputs))


def _one_thread() -> contextlib.AbstractContextManager[None]:
    return tf.experimental.function_executor_type("SINGLE_THREADED_EXECUTOR")


def _flat(program: tf.types.experimental.ConcreteFunction) -> Callable[..., Any]:
    # To bind arguments to a signature takes a seventh of the time of one question.
    function = program.inference_fn
    return lambda *tensors: function.call_preflattened([*tensors, *program.captured_inputs])
