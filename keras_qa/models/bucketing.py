"""When a feed is put into length buckets."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from keras_qa.batching import Bucket, BucketedBatches, groups, plan, sizes, steps_a_row
from keras_qa.execution.graph import model_inputs
from keras_qa.sources import Batch, is_source

# Buckets are for feeds in which they leave out at least a tenth of the steps.
MOST_STEPS_KEPT = 0.9


def bucketed(
    model: keras.Model,
    x: Any,
    y: Any,
    sample_weight: Any,
    batch_size: int | None,
    shuffle: bool = False,
) -> Batch:
    """Puts a checked feed into length buckets, where that saves enough.

    Args:
        model: The model that is fed.
        x: Arrays in the structure of its inputs, or a data source, which stays as it is.
        y: Labels, or `None`.
        sample_weight: Weights, or `None`.
        batch_size: Rows a batch. `None` for 32.
        shuffle: Whether rows and batches come in a new order each epoch.

    Returns:
        `BucketedBatches` and twice `None`; or what was given.
    """
    if is_source(x):
        return x, y, sample_weight
    inputs = keras.tree.flatten(x)
    others = [part for part in (y, sample_weight) if part is not None]
    size = batch_size or 32
    buckets = _buckets(model, inputs, size)
    if buckets is None:
        # Labels of an output that is not trained are no array.
        if not shuffle or any(part is None for part in keras.tree.flatten(others)):
            return x, y, sample_weight
        # As wide as the feed, for the sake of an order that can be taken up again.
        axes = zip(inputs, groups(inputs), strict=True)
        full = [length for array, count in axes for length in array.shape[1 : 1 + count]]
        buckets = [Bucket(np.arange(len(inputs[0])), tuple(full))]
    seed = int(np.random.randint(2**31)) if shuffle else None
    batches = BucketedBatches(inputs, tuple(others), buckets, size, model.input, seed)
    return batches, None, None


def _buckets(model: keras.Model, inputs: list[np.ndarray], batch_size: int) -> list[Bucket] | None:
    """Length buckets, or `None` where they save too little."""
    if not all(item.ignores_padding for item in model_inputs(model)):
        return None
    axes = groups(inputs)
    buckets = plan(sizes(inputs), batch_size, axes)
    full = [length for array in inputs for length in array.shape[1:]]
    widths = np.minimum([bucket.widths for bucket in buckets], full)
    rows = np.array([len(bucket.rows) for bucket in buckets])
    kept = rows @ steps_a_row(widths, axes)
    return buckets if kept <= MOST_STEPS_KEPT * sum(map(np.size, inputs)) else None
