"""How models train and predict on TensorFlow: data, weights, compiled programs."""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import math
import pathlib
import threading
import time
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_qa.execution import threads
from keras_qa.execution.filling import Plan, Shapes, has_padding, masked, rows_are_apart
from keras_qa.execution.graph import ends_early, has_large_products
from keras_qa.execution.signature import TRAINING, Signature, draws
from keras_qa.execution.tensorflow_data import as_dataset as as_dataset
from keras_qa.execution.tensorflow_tensors import to_tensor
from keras_qa.execution.tensorflow_tensors import zeros as zeros
from keras_qa.execution.threads import BATCHES_AT_ONCE as BATCHES_AT_ONCE
from keras_qa.kernels import precomputed
from keras_qa.kernels.early import ending_early
from keras_qa.kernels.tensorflow import keras_is_fused
from keras_qa.text.padding import trim

# Names the folder of programs that `keep_programs` keeps: here it keeps none.
PROGRAMS = ""

# Whether a program is made for each shape, and for those of an encoder, too.
COMPILES = True
COMPILES_PRODUCTS = False


def keep_programs(folder: pathlib.Path) -> None:
    """Nothing: TensorFlow has no public interface for it."""


def has_accelerator() -> bool:
    """Whether models run on something else than a CPU."""
    return bool(tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("TPU"))


def seed(seed: int) -> None:
    """Seeds what the backend draws from outside of Keras' seed generators: nothing here."""


def call(layer: keras.layers.Layer, *arguments: Any, **options: Any) -> Any:
    """Calls a layer that another holds: see PyTorch's. Here a program is traced once."""
    return layer(*arguments, **options)


def keep_weights(
    model: keras.Model, trains: bool = True
) -> contextlib.AbstractContextManager[list[Any]]:
    """Does nothing: TensorFlow's variables outlive any exception."""
    return contextlib.nullcontext([])


def _has_room() -> bool:
    """Whether XLA may compile more. TensorFlow keeps what it compiled as long as the process lives,
    a hundred mappings of memory for each program, and aborts where Linux gives it no more."""
    try:
        mappings = pathlib.Path("/proc/self/maps").read_bytes().count(b"\n")
        most = int(pathlib.Path("/proc/sys/vm/max_map_count").read_text())
    except OSError:
        return True
    return mappings < most // 2


def _suits_xla(model: keras.Model) -> bool:
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
    program of its own once it has spent more time in the program for all than XLA takes: what it
    took for the last shape of the model, and at first several times what tracing took.

    Args:
        model: A functional model.
        signature: Its signature, which says that all of it is known.
    """

    def __init__(self, model: keras.Model, signature: Signature) -> None:
        self.model = model
        self.layers = signature.layers
        self.ends_early = ends_early(model)
        self.programs: dict[Any, Callable[..., Any]] = {}
        self.for_all: Callable[..., Any] | None = None
        self.cost = 0.0
        self.spent: dict[Any, float] = collections.defaultdict(float)
        self.lock = threading.RLock()

    def at_once(self) -> contextlib.AbstractContextManager[Callable[..., Any]]:
        """Gives a `start` that comes back at once: batches are predicted in threads."""
        # What a `tf.device` around the prediction says, a thread would not know.
        device = tf.zeros(()).device

        def start(inputs: list[np.ndarray], tables: Any) -> Any:
            # TensorFlow makes what it runs anew where a device is named.
            is_known = tf.zeros(()).device == device
            with contextlib.nullcontext() if is_known else tf.device(device):
                return self.start(inputs, tables)

        return threads.at_once(start)

    def precompute(self, words: int) -> Any:
        """Computes what hangs on the weights alone, for batches of so many words together."""
        paying = self._paying()
        layers = precomputed.layers(self.layers, words) if paying else ()
        return paying, layers, precomputed.compute(layers)

    def start(self, inputs: list[np.ndarray], tables: Any = None) -> Any:
        """Predicts a batch.

        Args:
            inputs: Arrays in the order of the model's inputs.
            tables: What `precompute` gave, if the weights have not changed since.

        Returns:
            What `finish` is to be given.
        """
        paying, layers, given = tables or (self._paying(), (), [])
        shapes = tuple(array.shape for array in inputs)
        program = self.programs.get((layers, shapes))
        if program is None and shapes in paying:
            program = self._compiled(layers, given, shapes, inputs)
        if program is not None:
            return program(*keras.tree.flatten(given), *map(to_tensor, inputs))
        if self.ends_early:
            # This program takes any width, and reads all of it.
            inputs = list(map(trim, inputs))
        program = self.for_all or self._for_all()
        begun = time.perf_counter()
        outputs = program(*map(to_tensor, inputs))
        # The first call of a shape makes what others find.
        self.spent[shapes] += time.perf_counter() - begun if shapes in self.spent else 0.0
        return outputs

    def finish(self, outputs: Any) -> Any:
        """Waits for a batch, and gives arrays in the structure of the model's outputs."""
        return keras.tree.map_structure(lambda t: t.numpy(), threads.awaited(outputs))

    def _paying(self) -> set[Any]:
        """The shapes that XLA is worth its time for."""
        return {shapes for shapes, spent in self.spent.items() if spent > self.cost}

    def _for_all(self) -> Callable[..., Any]:
        # While a program is traced, Keras notes things on the layers.
        with self.lock:
            if self.for_all is None:
                begun = time.perf_counter()
                self.for_all = self._traced((), [], [tensor.shape for tensor in self.model.inputs])
                self.cost = max(self.cost, TIMES_TRACING * (time.perf_counter() - begun))
            return self.for_all

    def _compiled(
        self, layers: Any, given: Any, shapes: Any, inputs: list[np.ndarray]
    ) -> Callable[..., Any] | None:
        # The first batches come at once, and XLA would compile a shape that they share twice.
        with self.lock:
            program = self.programs.get((layers, shapes))
            if program is not None or not _suits_xla(self.model):
                return program
            # To count mappings takes a millisecond.
            if len(self.programs) >= MOST_SHAPES or not _has_room():
                return None
            begun = time.perf_counter()
            program = self._traced(layers, given, shapes, jit_compile=True)
            # XLA compiles at the first call.
            program(*keras.tree.flatten(given), *map(to_tensor, inputs))
            self.cost = time.perf_counter() - begun
            self.programs[layers, shapes] = program
            return program

    def _traced(
        self, layers: Any, given: Any, shapes: Any, jit_compile: bool = False
    ) -> Callable[..., Any]:
        tables = keras.tree.flatten(given)

        def call(*tensors: tf.Tensor) -> Any:
            packed = keras.tree.pack_sequence_as(given, tensors[: len(tables)])
            inputs = keras.tree.pack_sequence_as(self.model.input, tensors[len(tables) :])
            with precomputed.giving(layers, packed), ending_early(jit_compile):
                return self.model(inputs, training=False)

        # Keras leaves XLA out on a CPU, where a loop of small steps costs TensorFlow eight times
        # what it costs XLA. XLA compiles for each shape, so the trace may know it too.
        function = tf.function(call, jit_compile=jit_compile, autograph=False)
        specs = [tf.TensorSpec(table.shape, table.dtype) for table in tables]
        specs += [
            tf.TensorSpec(shape, tensor.dtype)
            for shape, tensor in zip(shapes, self.model.inputs, strict=True)
        ]
        return _flat(function.get_concrete_function(*specs))


def _flat(program: tf.types.experimental.ConcreteFunction) -> Callable[..., Any]:
    # To bind arguments to a signature takes a seventh of the time of one question.
    function = program.inference_fn
    return lambda *tensors: function.call_preflattened([*tensors, *program.captured_inputs])


# A shorter training is over before XLA has compiled it.
LEAST_STEPS = 24
# And the update of the weights, which takes a second to compile and gains five milliseconds a step.
LEAST_UPDATES = 240


def prepare_training(
    model: keras.Model,
    inputs: list[np.ndarray],
    size: int,
    epochs: int,
    initial_epoch: int = 0,
    own_widths: bool = False,
) -> Shapes:
    """Decides how a model trains, which `train_step` then looks up.

    Args:
        model: The model that is to train.
        inputs: What it is given; nothing where that is not known.
        size: How many rows a step.
        epochs: After how many times it ends.
        initial_epoch: After how many it begins, where it goes on.
        own_widths: Whether batches of each width have a program of their own.

    Returns:
        The shapes of batches that suit it.
    """
    before = model._plan
    rows = len(inputs[0]) if inputs else 0
    steps_an_epoch = -(-rows // size)
    steps = before.steps + steps_an_epoch * (epochs - initial_epoch)
    signature = Signature(model)
    by_xla = (before.by_xla or steps >= LEAST_STEPS) and _may_train_by_xla(model, signature)
    early = by_xla and ends_early(model) and (before.early or has_padding(inputs))
    early = early and not own_widths
    # The last batch is filled up in the graph: what comes out is cut before metrics see it.
    is_filled = by_xla and rows > size and rows_are_apart(signature.layers)
    updates = by_xla and (before.updates or steps >= LEAST_UPDATES)
    filled = size if is_filled else 0
    model._plan = Plan(filled, by_xla=by_xla, early=early, updates=updates, steps=steps)
    if model._plan != before:
        model.make_train_function(force=True)
    # A training that goes on has the widths of one that was never broken off.
    few = by_xla and not ends_early(model)
    return Shapes(shared=early, steps=steps_an_epoch * epochs if few else 0)


def prepare_testing(model: keras.Model, inputs: list[np.ndarray], size: int) -> bool:
    """Leaves the last batch as it is: one program evaluates all shapes."""
    return False


def part_widths(model: keras.Model) -> None:
    """Makes the programs of a training anew, which then read every step: each width has its own.

    To end with the longest row costs a training of such widths a fifth.
    """
    if model._plan.early:
        model._plan = dataclasses.replace(model._plan, early=False, programs={})
        model.make_train_function(force=True)


def _may_train_by_xla(model: keras.Model, signature: Signature) -> bool:
    strategy = tf.distribute.get_strategy()
    if tf.distribute.has_strategy() or model.distribute_strategy is not strategy:
        return False
    if model._jit_compile_given != "auto" or not model._compiled_by_known:
        return False
    if model.jit_compile or not model.trainable_variables:
        return False
    # Outside of the program that gives the outputs, Keras would not find their masks.
    if any(getattr(tensor, "_keras_mask", None) is not None for tensor in model.outputs):
        return False
    return (
        signature.is_known(TRAINING)
        and not any(map(draws, signature.layers))
        and _suits_xla(model)
        and _has_room()
    )


def hide_filled_rows(model: keras.Model, x: Any, outputs: Any) -> Any:
    """Nothing: batches that come in are not filled up. See JAX'."""
    return outputs


def train_step(model: keras.Model, step: Callable[..., Any], data: Any) -> Any:
    """Does one step of training by two programs that XLA compiles: the gradients, the update.

    Keras leaves XLA out on a CPU, where it takes a third of the time off. In one program with the
    gradients the update would be compiled again for each shape, which takes longer than the rest;
    by itself it is worth that in a long training alone.

    Args:
        model: The model that trains.
        step: Its `train_step` by Keras, for where XLA cannot or need not be asked for.
        data: Inputs, labels and weights of the examples.

    Returns:
        The metrics by name.
    """
    plan = model._plan
    if not plan.by_xla:
        return step(data)
    # This runs when Keras traces a step: once for all shapes, which XLA then compiles.
    begin = time.perf_counter()
    logs = _step_by_xla(model, data)
    model._costs.tracing += time.perf_counter() - begin
    return logs


def test_step(model: keras.Model, step: Callable[..., Any], *arguments: Any) -> Any:
    """Takes Keras' own step of evaluation."""
    return step(*arguments)


def _step_by_xla(model: keras.Model, data: Any) -> Any:
    plan = model._plan
    x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
    rows = tf.shape(keras.tree.flatten(x)[0])[0]
    filled = [_filled(part, rows, plan.filled) for part in (x, y, sample_weight)]
    weights = model.trainable_variables
    if not model.optimizer.built:
        model.optimizer.build(weights)

    def differentiate(x: Any, y: Any, sample_weight: Any, is_row: Any) -> Any:
        with tf.GradientTape() as tape:
            with ending_early(plan.early):
                outputs = model(x, training=True)
            if plan.filled:
                outputs = masked(outputs, is_row)
            loss = model.compute_loss(x, y, outputs, sample_weight, training=True)
            scaled = model.optimizer.scale_loss(loss)
        return outputs, loss, tape.gradient(scaled, [weight.value for weight in weights])

    is_row = tf.range(tf.maximum(rows, plan.filled)) < rows
    outputs, loss, gradients = _program(model, differentiate)(*filled, is_row)
    outputs = keras.tree.map_structure(lambda output: output[:rows], outputs)

    def update(gradients: Any) -> None:
        model.optimizer.apply(gradients, weights)

    if plan.updates:
        gradients = [_padded(gradient) for gradient in gradients]
        _program(model, update)(gradients)
    else:
        update(gradients)
    for metric in model.metrics:
        if metric.name == "loss":
            metric.update_state(loss, sample_weight=rows)
    return model.compute_metrics(x, y, outputs, sample_weight=sample_weight)


def _program(model: keras.Model, function: Callable[..., Any]) -> Callable[..., Any]:
    """A function of tensors as a program of XLA, traced once although Keras traces a step twice."""

    def call(*arguments: Any) -> Any:
        specs = keras.tree.map_structure(
            lambda value: None if value is None else tf.type_spec_from_value(value), arguments
        )
        key = function.__name__, str(specs)
        if key not in model._plan.programs:
            # AutoGraph would keep what it has converted, and the model with it.
            program = tf.function(function, jit_compile=True, autograph=False)
            model._plan.programs[key] = program.get_concrete_function(*specs)
        return model._plan.programs[key](*arguments)

    return call


def _filled(part: Any, rows: Any, size: int) -> Any:
    """A part of a batch with rows of zeros up to a size."""
    if part is None or not size:
        return part

    def fill(tensor: Any) -> Any:
        if tensor is None:
            return None
        return tf.pad(
            tensor, [[0, tf.maximum(size - rows, 0)]] + [[0, 0]] * (len(tensor.shape) - 1)
        )

    return keras.tree.map_structure(fill, part)


def _padded(gradient: Any) -> Any:
    """Fills the gradient of a table, one row a word, up to a power of two with rows of zeros.

    Optimizers do not take the sum of a word's gradients for them. The update is compiled for each
    number of rows.
    """
    if not isinstance(gradient, tf.IndexedSlices):
        return gradient
    count = tf.shape(gradient.indices)[0]
    bits = tf.math.ceil(tf.math.log(tf.cast(count, "float64")) / math.log(2))
    more = [[0, tf.maximum(2 ** tf.cast(bits, "int32") - count, 0)]]
    values = tf.pad(gradient.values, more + [[0, 0]] * (gradient.values.shape.rank - 1))
    return tf.IndexedSlices(values, tf.pad(gradient.indices, more), gradient.dense_shape)
