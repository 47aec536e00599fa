"""What only TensorFlow needs."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator
from typing import Any

import keras
import tensorflow as tf


def keep_weights(model: keras.Model) -> contextlib.AbstractContextManager[list[Any]]:
    """Does nothing: TensorFlow's variables outlive any exception."""
    return contextlib.nullcontext([])


def as_dataset(batches: Any) -> Any:
    """Turns batches into a `tf.data.Dataset` that leaves the size of every axis open.

    Keras reads the sizes off the first two batches, and fails at a later batch
    when these two happened to be equally long. An exception ends the dataset:
    TensorFlow would print its traceback, and raise an error of its own. Whoever
    made the batches has to keep the exception and raise it.

    Args:
        batches: A `keras.utils.PyDataset` or a generator of tuples of arrays.

    Returns:
        A `tf.data.Dataset` of the same batches.
    """
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
    return dataset.prefetch(tf.data.AUTOTUNE)


def compiled(model: keras.Model) -> Any:
    """Gives a function that predicts one batch, without Keras' loop over batches.

    Args:
        model: The model. Its weights may change afterwards.

    Returns:
        A function from arrays in the structure of the model's inputs to arrays.
    """
    # XLA compiles for each size; TensorFlow's own trace leaves the sizes open.
    signature = keras.tree.map_structure(
        lambda tensor: tf.TensorSpec((None, *(None for _ in tensor.shape[1:])), tensor.dtype),
        model.input,
    )

    @tf.function(input_signature=[signature], jit_compile=model.jit_compile)
    def call(inputs: Any) -> Any:
        return model(inputs, training=False)

    def run(inputs: Any) -> Any:
        return keras.tree.map_structure(lambda tensor: tensor.numpy(), call(inputs))

    return run
