"""Batches for TensorFlow: `tf.data` over what yields arrays."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf


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
