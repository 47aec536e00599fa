"""How models run on TensorFlow: `tf.data`, XLA for recurrent loops, a traced predict step."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_qa.engine.graph import (
    all_layers,
    compiles_predictions,
    ends_early,
    functions_of,
    is_from_keras,
    model_inputs,
    state_variables,
)
from keras_qa.engine.programs import Program
from keras_qa.layers.kernels.masking import ending_early


def has_accelerator() -> bool:
    """Whether models run on another device than a CPU."""
    return bool(tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("TPU"))


def compiles_loops(model: keras.Model, losses_and_metrics: Sequence[Any]) -> bool:
    """Chooses XLA for recurrent models on a CPU, where Keras' "auto" does not use it.

    The classic model predicts 1.4 to 4 times as fast with XLA, and trains 1.7 times as fast on full
    rows. On rows with padding it trains 1.2 times as fast, and each shape compiles for more than
    two seconds: these are trained without. XLA is not used with a distribution strategy or several
    devices; with functions and classes of the user, which XLA may be unable to compile; or if a
    layer draws random numbers, because XLA draws different ones.
    """
    parts = [model, *all_layers(model), *functions_of(model), *losses_and_metrics]
    return (
        all(item.ignores_padding and item.ends_early for item in model_inputs(model))
        and not tf.distribute.has_strategy()
        # XLA cannot read variables of another device.
        and len(tf.config.list_logical_devices()) == 1
        and not any(map(_draws_random_numbers, all_layers(model)))
        and all(map(is_from_keras, parts))
    )


def _draws_random_numbers(layer: Any) -> bool:
    attributes = vars(layer)
    if not any(isinstance(value, keras.random.SeedGenerator) for value in attributes.values()):
        return False
    rates = [
        attributes[name] for name in ("rate", "dropout", "recurrent_dropout") if name in attributes
    ]
    return any(rates) or not rates


class BatchPredictor:
    """Predicts a batch by the model's `predict_step`, traced once for all widths.

    Keras' `predict_on_batch` traces it again for the second and the third shape.
    """

    def __init__(self, model: keras.Model) -> None:
        self.model = model
        self._step = Program(model, self._make)

    def __call__(self, arrays: list[np.ndarray]) -> list[np.ndarray]:
        """Computes the outputs of a batch."""
        model = self.model
        if model.run_eagerly:
            x = keras.tree.pack_sequence_as(model.input, arrays)
            return keras.tree.flatten(keras.Model.predict_on_batch(model, x))
        tensors = [tf.constant(array) for array in arrays]
        shapes = tuple(array.shape for array in arrays)
        return [tensor.numpy() for tensor in self._step(shapes, tensors)]

    def _make(self) -> Any:
        model = self.model
        specs = [tf.TensorSpec(tensor.shape, tensor.dtype) for tensor in model.inputs]

        compiles = compiles_predictions(model)

        @tf.function(input_signature=[specs], jit_compile=compiles, autograph=False)
        def step(tensors: Any) -> Any:
            x = keras.tree.pack_sequence_as(model.input, tensors)
            return keras.tree.flatten(model.predict_step((x,)))

        # Traced here, because TensorFlow warns if one function is traced for several models.
        with ending_early(compiles and ends_early(model)):
            return step.get_concrete_function()


class Model(keras.Model):
    """A model whose steps give the same results under any `tf.distribute` strategy.

    Each replica gets the whole batch, and reads its rows. Keras alone would average the losses of
    replicas with different numbers of rows, and clip their gradients before it adds them.
    """

    def train_step(self, data: Any) -> Any:
        """Updates the weights by one batch."""
        data, replicas = _own_rows(data), _replicas()
        # A `LossScaleOptimizer` has an optimizer inside.
        optimizer = getattr(self.optimizer, "inner_optimizer", self.optimizer)
        if replicas == 1 or not any(getattr(optimizer, name, None) for name in _CLIPS):
            return super().train_step(data)
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        with tf.GradientTape() as tape:
            y_pred = self(x, training=True)
            loss = self.compute_loss(x, y, y_pred, sample_weight, training=True)
            scaled = self.optimizer.scale_loss(loss)
        weights = self.trainable_weights
        pairs = zip(tape.gradient(scaled, weights), weights, strict=True)
        gradients, weights = zip(*[pair for pair in pairs if pair[0] is not None], strict=True)
        replica = tf.distribute.get_replica_context()
        # The optimizer adds the gradients of all replicas. One has those of the whole batch.
        share = tf.cast(replica.replica_id_in_sync_group == 0, "float32")
        whole = [_scaled(part, share) for part in replica.all_reduce("SUM", gradients)]
        self.optimizer.apply_gradients(zip(whole, weights, strict=True))
        tracker = next(metric for metric in self.metrics if metric.name == "loss")
        tracker.update_state(loss * replicas, tf.shape(keras.tree.flatten(x)[0])[0])
        return self.compute_metrics(x, y, y_pred, sample_weight)

    def test_step(self, data: Any) -> Any:
        """Evaluates one batch."""
        return super().test_step(_own_rows(data))

    def predict_step(self, data: Any) -> Any:
        """Computes the outputs of one batch."""
        return super().predict_step(_own_rows(data))

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
    ) -> Any:
        """Computes the loss of the whole batch."""
        if _replicas() > 1:
            gather = tf.distribute.get_replica_context().all_gather
            y, y_pred, sample_weight = keras.tree.map_structure(
                lambda part: None if part is None else gather(part, axis=0),
                (y, y_pred, sample_weight),
            )
        return super().compute_loss(x, y, y_pred, sample_weight, training)


def _scaled(gradient: Any, factor: tf.Tensor) -> Any:
    """Multiplies a gradient, and keeps that of an embedding a part for each word.

    Keras computes norms of these parts.
    """
    if isinstance(gradient, tf.IndexedSlices):
        values = gradient.values * tf.cast(factor, gradient.dtype)
        return tf.IndexedSlices(values, gradient.indices, gradient.dense_shape)
    return gradient * tf.cast(factor, gradient.dtype)


def _replicas() -> int:
    """The number of replicas that run the same step now."""
    replica = tf.distribute.get_replica_context()
    return 1 if replica is None else int(replica.num_replicas_in_sync)


def _own_rows(data: Any) -> Any:
    """Returns the rows of a batch that this replica reads."""
    replicas = _replicas()
    if replicas == 1:
        return data
    number = tf.distribute.get_replica_context().replica_id_in_sync_group

    def rows(array: Any) -> Any:
        count = tf.shape(array)[0]
        return array[number * count // replicas : (number + 1) * count // replicas]

    return keras.tree.map_structure(lambda part: None if part is None else rows(part), data)


# Settings by which an optimizer changes gradients before it adds those of all replicas.
_CLIPS = ("clipnorm", "global_clipnorm", "clipvalue", "gradient_accumulation_steps")


def training_on(devices: int, repeat: object) -> contextlib.AbstractContextManager[None]:
    """Enters the scope of a `MirroredStrategy` in the block."""
    kind = "GPU" if tf.config.list_logical_devices("GPU") else "CPU"
    names = [device.name for device in tf.config.list_logical_devices(kind)]
    if devices > len(names):
        raise ValueError(
            f"`devices` is {devices}, but TensorFlow has {len(names)}: {names[0]}. Call "
            "`tf.config.set_logical_device_configuration` before the first model for virtual ones "
            "on a CPU."
        )
    # The default fails for a second number of CPU devices in a process.
    operations = tf.distribute.ReductionToOneDevice() if kind == "CPU" else None
    strategy = tf.distribute.MirroredStrategy(names[:devices], operations)
    scope: contextlib.AbstractContextManager[None] = strategy.scope()
    return scope


def on_devices(model: keras.Model) -> contextlib.AbstractContextManager[None]:
    """Enters the scope of the model's strategy, in which `as_dataset` repeats batches."""
    strategy = model.distribute_strategy
    is_inside = strategy.extended.variable_created_in_scope
    if strategy.num_replicas_in_sync > 1 and not all(
        is_inside(variable.value) for variable in state_variables(model)
    ):
        raise ValueError(
            "The model or its optimizer was built outside of the scope of the `tf.distribute` "
            "strategy. Build or load both under `with strategy.scope():`."
        )
    scope: contextlib.AbstractContextManager[None] = strategy.scope()
    return scope


def as_dataset(batches: Any, in_memory: bool = False) -> Any:
    """Turns batches into a `tf.data.Dataset` with axes of unknown size.

    Keras would infer the sizes from the first two batches and fail at a later batch of another
    width. An exception in `batches` ends the dataset without an error, since TensorFlow would print
    its traceback and raise another error. The caller must keep the exception and raise it.
    """
    if in_memory:
        return _read_in_graph(batches)
    if tf.distribute.get_strategy().num_replicas_in_sync > 1:
        raise ValueError(
            "A data source cannot be read under a `tf.distribute` strategy, since Keras reads "
            "batches of the next epoch before it begins. Pass arrays."
        )
    if isinstance(batches, keras.utils.PyDataset):
        first, length = batches[0], batches.num_batches

        def iterate() -> Iterator[Any]:
            with contextlib.suppress(Exception):
                batches.on_epoch_begin()
                for position in range(length) if length is not None else itertools.count():
                    yield _arrays(batches[position])
                batches.on_epoch_end()

    else:
        first, length = next(batches), None
        rest = itertools.chain([first], batches)

        def iterate() -> Iterator[Any]:
            with contextlib.suppress(Exception):
                yield from map(_arrays, rest)

    signature = tuple(tf.TensorSpec((None,) * array.ndim, array.dtype) for array in _arrays(first))
    dataset = tf.data.Dataset.from_generator(iterate, output_signature=signature)
    if length is not None:
        dataset = dataset.apply(tf.data.experimental.assert_cardinality(length))
    return _prefetched(dataset.map(lambda *tensors: _packed(first, tensors)))


def _arrays(batch: Any) -> tuple[np.ndarray, ...]:
    """The arrays of a batch. The labels of an output without a loss are `None`."""
    return tuple(array for array in keras.tree.flatten(batch) if array is not None)


def _packed(batch: Any, tensors: Sequence[tf.Tensor]) -> Any:
    """Puts tensors in the place of the arrays of a batch."""
    left = iter(tensors)
    parts = [None if part is None else next(left) for part in keras.tree.flatten(batch)]
    return keras.tree.pack_sequence_as(batch, parts)


def _read_in_graph(batches: keras.utils.PyDataset) -> tf.data.Dataset:
    first = batches[0]
    arrays = keras.tree.flatten(first)
    # Inputs may have any width, and so may labels of positions. Metrics need the other sizes.
    inputs = len(keras.tree.flatten(first[0]))
    free = 2 if getattr(batches, "cuts_labels", False) else 1
    unknown = [array.ndim if part < inputs else free for part, array in enumerate(arrays)]
    shapes = [
        (*[None] * min(count, array.ndim), *array.shape[count:])
        for count, array in zip(unknown, arrays, strict=True)
    ]

    def read(position: np.ndarray) -> list[np.ndarray]:
        return keras.tree.flatten(batches[int(position)])

    def give(position: tf.Tensor) -> Any:
        tensors = tf.numpy_function(read, [position], [array.dtype for array in arrays])
        for tensor, shape in zip(tensors, shapes, strict=True):
            tensor.set_shape(shape)
        return keras.tree.pack_sequence_as(first, tensors)

    return _prefetched(tf.data.Dataset.range(len(batches)).map(give))


def _prefetched(dataset: tf.data.Dataset) -> tf.data.Dataset:
    replicas = tf.distribute.get_strategy().num_replicas_in_sync
    if replicas > 1:
        # The strategy divides the copies, so that each replica gets one.
        dataset = dataset.map(
            lambda *parts: keras.tree.map_structure(
                lambda part: None if part is None else tf.concat([part] * replicas, axis=0), parts
            )
        )
    # With autotuning, the end of a dataset may take a third of a second in each epoch.
    options = tf.data.Options()
    options.autotune.enabled = False
    return dataset.prefetch(2).with_options(options)
