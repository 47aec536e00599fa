"""How models train and predict on TensorFlow: data, weights, compiled programs."""

from __future__ import annotations

import contextlib
import dataclasses
import math
import pathlib
import time
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_qa.execution.filling import Plan, Shapes, has_padding, masked, rows_are_apart
from keras_qa.execution.graph import ends_early
from keras_qa.execution.signature import TRAINING, Signature, draws
from keras_qa.execution.tensorflow_data import as_dataset as as_dataset
from keras_qa.execution.tensorflow_predicting import BatchPredictor as BatchPredictor
from keras_qa.execution.tensorflow_predicting import call as call
from keras_qa.execution.tensorflow_predicting import has_accelerator as has_accelerator
from keras_qa.execution.tensorflow_predicting import has_room, suits_xla
from keras_qa.execution.tensorflow_tensors import zeros as zeros
from keras_qa.execution.threads import BATCHES_AT_ONCE as BATCHES_AT_ONCE
from keras_qa.kernels.early import ending_early

# Names the folder of programs that `keep_programs` keeps: here it keeps none.
PROGRAMS = ""

# Whether a program is made for each shape, and for those of an encoder, too.
COMPILES = True
COMPILES_PRODUCTS = False


def keep_programs(folder: pathlib.Path) -> None:
    """Nothing: TensorFlow has no public interface for it."""


def assign(variable: keras.Variable, array: np.ndarray) -> None:
    """Gives a weight the values of an array: see PyTorch's."""
    variable.assign(array)


def seed(seed: int) -> None:
    """Seeds what the backend draws from outside of Keras' seed generators: nothing here."""


def keep_weights(
    model: keras.Model, trains: bool = True
) -> contextlib.AbstractContextManager[list[Any]]:
    """Does nothing: TensorFlow's variables outlive any exception."""
    return contextlib.nullcontext([])


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
        and suits_xla(model)
        and has_room()
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
