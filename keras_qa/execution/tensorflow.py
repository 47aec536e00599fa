"""How models train and predict on TensorFlow: data, weights, compiled programs."""

from __future__ import annotations

import contextlib
import itertools
import pathlib
import threading
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_qa.kernels import folding
from keras_qa.kernels.tensorflow import keras_is_fused

# A loop over time that XLA compiled keeps one core busy. Each holds a batch in memory.
PROGRAMS_AT_ONCE = 2

# What TensorFlow asks for at most, in bytes (`EIGEN_MAX_ALIGN_BYTES`).
ALIGNMENT = 64


def seed(seed: int) -> None:
    """Seeds what the backend draws from outside of Keras' seed generators: nothing here."""


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


class compiled:
    """Predicts batches without Keras' loop over them, by a program for each of their shapes.

    Args:
        model: The model. Its weights may change afterwards.
    """

    def __init__(self, model: keras.Model) -> None:
        self.model = model
        self.programs: dict[Any, Any] = {}
        self.lock = threading.Lock()

    def fold(self, words: int) -> Any:
        """Computes what depends on the weights alone, for batches of so many words together."""
        names = folding.folding_layers(self.model, words)
        if names and names not in self.programs:
            self.programs[names] = self._compile(lambda: folding.fold(self.model, names))
        return self.programs[names]() if names else {}

    def __call__(self, inputs: list[np.ndarray], folded: Any = None) -> Any:
        """Predicts a batch.

        Args:
            inputs: Arrays in the order of the model's inputs.
            folded: What `fold` gave, if the weights have not changed since.

        Returns:
            Arrays in the structure of the model's outputs.
        """
        folded = folded or {}
        tensors = [*keras.tree.flatten(folded), *map(_to_tensor, inputs)]
        shapes = (*folded, *(array.shape for array in inputs))
        # The first batches come at once, and XLA would compile a shape that they share twice.
        with self.lock:
            if shapes not in self.programs:
                self.programs[shapes] = self._program(folded, tensors)
        outputs = self.programs[shapes](*tensors)
        return keras.tree.map_structure(lambda tensor: tensor.numpy(), outputs)

    def _program(self, folded: Any, tensors: list[tf.Tensor]) -> Callable[..., Any]:
        given = len(keras.tree.flatten(folded))

        def call(*tensors: tf.Tensor) -> Any:
            tables = keras.tree.pack_sequence_as(folded, tensors[:given])
            inputs = keras.tree.pack_sequence_as(self.model.input, tensors[given:])
            with folding.giving(tables):
                return self.model(inputs, training=False)

        if self.model.run_eagerly:
            return call
        specs = [tf.TensorSpec(tensor.shape, tensor.dtype) for tensor in tensors]
        return _flat(self._compile(call).get_concrete_function(*specs))

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

_training_by_xla: weakref.WeakSet[keras.Model] = weakref.WeakSet()


def prepare_training(model: keras.Model, steps: int) -> None:
    """Decides whether XLA compiles the steps of a training, which `train_step` then looks up.

    Args:
        model: The model that is to train.
        steps: How many steps there will be, of few shapes; 0 where that is not known.
    """
    whole = model.run_eagerly or model.jit_compile or tf.distribute.has_strategy()
    if whole or not _suits_xla(model):
        _training_by_xla.discard(model)
    elif model not in _training_by_xla and steps >= LEAST_STEPS and _has_room():
        _training_by_xla.add(model)
        model.make_train_function(force=True)


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
    if model not in _training_by_xla:
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
        gradients = tape.gradient(scaled, [weight.value for weight in weights])
        # A table's gradient is put together here rather than by the optimizer, which is slower.
        return outputs, loss, [None if g is None else tf.convert_to_tensor(g) for g in gradients]

    @tf.function(jit_compile=True)
    def update() -> None:
        model.optimizer.apply(gradients, weights)

    outputs, loss, gradients = differentiate()
    update()
    for metric in model.metrics:
        if metric.name == "loss":
            metric.update_state(loss, sample_weight=tf.shape(keras.tree.flatten(x)[0])[0])
    return model.compute_metrics(x, y, outputs, sample_weight=sample_weight)
