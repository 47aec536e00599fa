"""How models train and predict on TensorFlow: data, weights, compiled programs."""

from __future__ import annotations

import contextlib
import itertools
import math
import pathlib
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_qa.execution.signature import TRAINING, Signature
from keras_qa.kernels import precomputed
from keras_qa.kernels.tensorflow import keras_is_fused

# A loop over time that XLA compiled keeps one core busy. Each holds a batch in memory.
BATCHES_AT_ONCE = 2

# What TensorFlow asks for at most, in bytes (`EIGEN_MAX_ALIGN_BYTES`).
ALIGNMENT = 64


def seed(seed: int) -> None:
    """Seeds what the backend draws from outside of Keras' seed generators: nothing here."""


def call(layer: keras.layers.Layer, *arguments: Any, **options: Any) -> Any:
    """Calls a layer that another holds: see PyTorch's. Here a program is traced once."""
    return layer(*arguments, **options)


def keep_weights(model: keras.Model) -> contextlib.AbstractContextManager[list[Any]]:
    """Does nothing: TensorFlow's variables outlive any exception."""
    return contextlib.nullcontext([])


def as_dataset(batches: Any, in_memory: bool = False) -> Any:
    """Turns batches into a `tf.data.Dataset` that leaves the size of every axis open.

    Keras reads the sizes off the first two batches, and fails at a later batch
    when these two happened to be equally long. An exception ends the dataset:
    TensorFlow would print its traceback, and raise an error of its own. Whoever
    made the batches has to keep the exception and raise it.

    Args:
        batches: A `keras.utils.PyDataset` or a generator of tuples of arrays.
        in_memory: That `batches` is a `keras.utils.PyDataset` that is known to
            raise nothing. Reading it then takes a third of the time.

    Returns:
        A `tf.data.Dataset` of the same batches.
    """
    if in_memory:
        return _mapped(batches)
    if isinstance(batches, keras.utils.PyDataset):
        first, length = batches[0], batches.num_batches

        def iterate() -> Iterator[Any]:
            with contextlib.suppress(Exception):
                batches.on_epoch_begin()
                for position in range(length) if length is not None else itertools.count():
                    yield batches[position]
                batches.on_epoch_end()

    else:
        first, length = next(batches), None
        rest = itertools.chain([first], batches)

        def iterate() -> Iterator[Any]:
            with contextlib.suppress(Exception):
                yield from rest

    signature = keras.tree.map_structure(
        lambda array: tf.TensorSpec((None,) * array.ndim, array.dtype), first
    )
    dataset = tf.data.Dataset.from_generator(iterate, output_signature=signature)
    if length is not None:
        dataset = dataset.apply(tf.data.experimental.assert_cardinality(length))
    return _prefetched(dataset)


def _mapped(batches: keras.utils.PyDataset) -> tf.data.Dataset:
    first = batches[0]
    arrays = keras.tree.flatten(first)

    def read(position: np.ndarray) -> list[np.ndarray]:
        if position == 0:
            batches.on_epoch_begin()
        return keras.tree.flatten(batches[int(position)])

    def give(position: tf.Tensor) -> Any:
        tensors = tf.numpy_function(read, [position], [array.dtype for array in arrays])
        for tensor, array in zip(tensors, arrays, strict=True):
            tensor.set_shape((None,) * array.ndim)
        return keras.tree.pack_sequence_as(first, tensors)

    return _prefetched(tf.data.Dataset.range(len(batches)).map(give))


def _prefetched(dataset: tf.data.Dataset) -> tf.data.Dataset:
    # Left to tune itself, a dataset may take a third of a second to end, at every epoch.
    options = tf.data.Options()
    options.autotune.enabled = False
    return dataset.prefetch(2).with_options(options)


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
    return all(
        getattr(layer, "supports_jit", True) and not getattr(layer, "has_large_products", False)
        for layer in model.layers
    )


# Shapes that a model has programs for. XLA's are never freed, so that there are no more of them:
# further shapes are predicted by one program for all, without XLA.
MOST_SHAPES = 64


class BatchPredictor:
    """Predicts batches by a program for each of their shapes.

    Args:
        model: A functional model.
        signature: Its signature, which says that all of it is known.
    """

    def __init__(self, model: keras.Model, signature: Signature) -> None:
        self.model = model
        self.layers = signature.layers
        self.programs: dict[Any, Any] = {}
        self.for_all: dict[Any, Any] = {}
        self.lock = threading.RLock()

    @contextlib.contextmanager
    def at_once(self) -> Iterator[Callable[..., Any]]:
        """Gives a `start` that comes back at once: batches are predicted in threads."""
        # What a `tf.device` around the prediction says, a thread would not know.
        device = tf.zeros(()).device

        def start(inputs: list[np.ndarray], tables: Any) -> Any:
            with tf.device(device):
                return self.start(inputs, tables)

        with ThreadPoolExecutor(BATCHES_AT_ONCE) as pool:
            yield lambda inputs, tables: pool.submit(start, inputs, tables)

    def precompute(self, words: int) -> Any:
        """Computes what hangs on the weights alone, for batches of so many words together."""
        layers = precomputed.layers(self.layers, words)
        if not layers:
            return (), ()
        with self.lock:
            if layers not in self.programs:
                self.programs[layers] = self._compile(lambda: precomputed.compute(layers))
        return layers, self.programs[layers]()

    def start(self, inputs: list[np.ndarray], tables: Any = ((), ())) -> Any:
        """Predicts a batch.

        Args:
            inputs: Arrays in the order of the model's inputs.
            tables: What `precompute` gave, if the weights have not changed since.

        Returns:
            What `finish` is to be given.
        """
        layers, given = tables
        tensors = [*keras.tree.flatten(given), *map(_to_tensor, inputs)]
        shapes = (layers, *(array.shape for array in inputs))
        # The first batches come at once, and XLA would compile a shape that they share twice.
        with self.lock:
            program = self.programs.get(shapes) or self._program(shapes, given, tensors)
        return program(*tensors)

    def finish(self, outputs: Any) -> Any:
        """Waits for a batch, and gives arrays in the structure of the model's outputs."""
        if isinstance(outputs, Future):
            outputs = outputs.result()
        return keras.tree.map_structure(lambda tensor: tensor.numpy(), outputs)

    def _program(
        self, shapes: tuple[Any, ...], given: Any, tensors: list[tf.Tensor]
    ) -> Callable[..., Any]:
        layers = shapes[0]
        count = len(keras.tree.flatten(given))

        def call(*tensors: tf.Tensor) -> Any:
            tables = keras.tree.pack_sequence_as(given, tensors[:count])
            inputs = keras.tree.pack_sequence_as(self.model.input, tensors[count:])
            with precomputed.giving(layers, tables):
                return self.model(inputs, training=False)

        if len(self.programs) >= MOST_SHAPES:
            return self.for_all.setdefault(layers, tf.function(call, reduce_retracing=True))
        specs = [tf.TensorSpec(tensor.shape, tensor.dtype) for tensor in tensors]
        self.programs[shapes] = _flat(self._compile(call).get_concrete_function(*specs))
        return self.programs[shapes]

    def _compile(self, function: Callable[..., Any]) -> Any:
        # Keras leaves XLA out on a CPU, where a loop of small steps costs TensorFlow eight times
        # what it costs XLA. XLA compiles for each shape, so the trace may know it too.
        return tf.function(function, jit_compile=_suits_xla(self.model) and _has_room())


def _flat(program: tf.types.experimental.ConcreteFunction) -> Callable[..., Any]:
    # To bind arguments to a signature takes a seventh of the time of one question.
    function = program.inference_fn
    return lambda *tensors: function.call_preflattened([*tensors, *program.captured_inputs])


def _to_tensor(array: np.ndarray) -> tf.Tensor:
    # `tf.constant` is an operation of its own, a tenth of the time of one question. DLPack has no
    # word for every dtype, and hands the memory over as it lies.
    if array.dtype != np.int32:
        return tf.constant(array)
    return tf.experimental.dlpack.from_dlpack(_aligned(array).__dlpack__())


def _aligned(array: np.ndarray) -> np.ndarray:
    """Copies an array to where TensorFlow's operations read: they abort the process elsewhere."""
    memory = np.empty(array.nbytes + ALIGNMENT, "uint8")
    copy = np.ndarray(array.shape, array.dtype, memory, -memory.ctypes.data % ALIGNMENT)
    copy[...] = array
    return copy


# A shorter training is over before XLA has compiled it.
LEAST_STEPS = 24


def prepare_training(model: keras.Model, steps: int) -> None:
    """Decides whether XLA compiles the steps of a training, which `train_step` then looks up.

    Args:
        model: The model that is to train.
        steps: How many steps there will be, of few shapes; 0 where that is not known.
    """
    before = getattr(model, "_trains_by_xla", False)
    now = (before or steps >= LEAST_STEPS) and _may_train_by_xla(model)
    if now != before:
        model._trains_by_xla = now
        model.make_train_function(force=True)


def _may_train_by_xla(model: keras.Model) -> bool:
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
    signature = Signature(model)
    return (
        signature.is_known(TRAINING)
        and not any(map(_draws, signature.layers))
        and _suits_xla(model)
        and _has_room()
    )


def _draws(layer: Any) -> bool:
    """Whether a layer draws Keras' random numbers, of which XLA has others."""
    held = vars(layer)
    if not type(layer).__module__.startswith("keras."):
        return held.get("seed") is not None
    if not any(isinstance(value, keras.random.SeedGenerator) for value in held.values()):
        return False
    rates = [held[name] for name in ("rate", "dropout", "recurrent_dropout") if name in held]
    return any(rates) or not rates


def train_step(model: keras.Model, step: Callable[..., Any], data: Any) -> Any:
    """Does one step of training by two programs that XLA compiles: the gradients, the update.

    Keras leaves XLA out on a CPU, where it takes a third of the time off. In one program with the
    gradients the update would be compiled again for each shape, which takes longer than the rest.

    Args:
        model: The model that trains.
        step: Its `train_step` by Keras, for where XLA cannot or need not be asked for.
        data: Inputs, labels and weights of the examples.

    Returns:
        The metrics by name.
    """
    if not getattr(model, "_trains_by_xla", False):
        return step(data)
    x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
    weights = model.trainable_variables
    if not model.optimizer.built:
        model.optimizer.build(weights)

    @tf.function(jit_compile=True)
    def differentiate() -> Any:
        with tf.GradientTape() as tape:
            outputs = model(x, training=True)
            loss = model.compute_loss(x, y, outputs, sample_weight, training=True)
            scaled = model.optimizer.scale_loss(loss)
        return outputs, loss, tape.gradient(scaled, [weight.value for weight in weights])

    @tf.function(jit_compile=True)
    def update() -> None:
        model.optimizer.apply(gradients, weights)

    outputs, loss, gradients = differentiate()
    gradients = [_padded(gradient) for gradient in gradients]
    update()
    for metric in model.metrics:
        if metric.name == "loss":
            metric.update_state(loss, sample_weight=tf.shape(keras.tree.flatten(x)[0])[0])
    return model.compute_metrics(x, y, outputs, sample_weight=sample_weight)


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
