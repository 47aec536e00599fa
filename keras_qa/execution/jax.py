"""How models train and predict on JAX: data, weights, compiled programs."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import math
import operator
import pathlib
import sys
import threading
from collections.abc import Callable, Sequence
from typing import Any

import jax
import keras
import numpy as np
from jax.experimental.compilation_cache import compilation_cache

from keras_qa.execution import threads
from keras_qa.execution.filling import Plan, Shapes, are_rows, has_padding, masked, rows_are_apart
from keras_qa.execution.graph import ends_early, has_large_products, model_inputs
from keras_qa.execution.signature import TESTING, TRAINING, Signature
from keras_qa.execution.threads import BATCHES_AT_ONCE as BATCHES_AT_ONCE
from keras_qa.kernels import precomputed
from keras_qa.kernels.early import ending_early

# Its attributes are made at run time.
_CONFIG: Any = jax.config

# Names the folder of programs that `keep_programs` keeps: those of another version are no use.
PROGRAMS = f"jax-{jax.__version__}"

# Whether a program is made for each shape, and for those of an encoder, too.
COMPILES = True
COMPILES_PRODUCTS = True


def keep_programs(folder: pathlib.Path) -> None:
    """Keeps compiled programs in a folder, from now on and from process to process."""
    # JAX settles at its first compilation whether it keeps programs.
    compilation_cache.reset_cache()
    _CONFIG.update("jax_compilation_cache_dir", str(folder))
    # The small ones too: to load a model takes dozens of them.
    _CONFIG.update("jax_persistent_cache_min_compile_time_secs", 0.0)


def as_dataset(batches: Any, in_memory: bool = False) -> Any:
    """Returns the batches as they are: JAX compiles once for each shape."""
    return batches


def zeros(shape: Sequence[int], dtype: Any = None) -> jax.Array:
    """First weights that others replace: see TensorFlow's. JAX would compile a program for each."""
    return jax.device_put(np.zeros(shape, keras.backend.standardize_dtype(dtype)))


def assign(variable: keras.Variable, array: np.ndarray) -> None:
    """Gives a weight the values of an array: see PyTorch's."""
    variable.assign(array)


def has_accelerator() -> bool:
    """Whether models run on something else than a CPU."""
    return jax.default_backend() != "cpu"


def seed(seed: int) -> None:
    """Seeds what the backend draws from outside of Keras' seed generators: nothing here."""


class keep_weights:
    """Gives `model` its weights back when an exception leaves the block.

    Keras hands the weights to a compiled step that overwrites them in place,
    and takes the new ones back only when an epoch ends. What an exception
    leaves is therefore the state after the last finished step, where Keras
    still knows it. Otherwise it is the state at the start of the epoch, or of
    the block: copies are kept for that.

    Entering gives the callbacks that `fit` needs to take a copy every epoch, and after those of
    the user have set weights before the first one.

    Args:
        model: The model that trains or predicts inside the block.
        trains: Whether it trains. Otherwise its optimizer's state is left alone.
    """

    def __init__(self, model: keras.Model, trains: bool = True) -> None:
        self.model = model
        self.optimizer = getattr(model, "optimizer", None) if trains else None

    def __enter__(self) -> list[keras.callbacks.Callback]:
        self._copy()
        return [
            keras.callbacks.LambdaCallback(
                on_train_begin=lambda logs: self._copy(),
                on_epoch_end=lambda epoch, logs: self._copy(),
            )
        ]

    def __exit__(self, kind: type[BaseException] | None, *_: Any) -> None:
        if kind is None:
            return
        # The state Keras knows may be older than a step that consumed it. The copies then serve.
        with contextlib.suppress(RuntimeError):
            self.model.jax_state_sync()
        if any(_is_lost(variable) for variable, _ in self.copies):
            # All of them, so that weights and optimizer are of the same moment.
            for variable, copy in self.copies:
                variable.assign(copy)

    def _copy(self) -> None:
        variables = [
            *self.model.variables,
            *self.model.metrics_variables,
            *(self.optimizer.variables if self.optimizer is not None else ()),
        ]
        values = [variable.value for variable in variables]
        self.copies = list(zip(variables, _copied(values), strict=True))


@jax.jit
def _copied(arrays: list[jax.Array]) -> list[jax.Array]:
    # One program for all of them: to ask for a copy takes longer than a small one does.
    return [jax.numpy.copy(array) for array in arrays]


def _is_lost(variable: Any) -> bool:
    try:
        value = variable.value
    except TypeError:
        # Keras sets a variable aside by emptying it, and an empty one calls its initializer: none.
        return True
    return isinstance(value, jax.Array) and value.is_deleted()


# Bytes of what is computed ahead for the next question: more is computed for many at once only.
MOST_KEPT = 16 * 2**20

# Shapes that a model has programs for. Each takes memory, and of mappings of memory, of which a
# process has only so many, some twenty.
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
        self.early = ends_early(model)
        self.lock = threading.RLock()
        self.kept_layers: tuple[Any, ...] = ()
        self.kept: tuple[list[jax.Array], Any] = ([], ())
        self._compile()
        layers = precomputed.layers(self.layers, sys.maxsize)
        shapes = jax.eval_shape(functools.partial(self._tables, layers), self._weights())
        size = sum(math.prod(a.shape) * a.dtype.itemsize for a in jax.tree.leaves(shapes))
        if size <= MOST_KEPT:
            self.kept_layers = layers

    def _compile(self) -> None:
        self.shapes: set[Any] = set()
        self.programs: tuple[Any, Any] = (self._tables, self._call)
        if self.model.jit_compile:
            self.programs = (
                jax.jit(self._tables, static_argnums=0),
                jax.jit(self._call, static_argnums=0),
            )

    def at_once(self) -> contextlib.AbstractContextManager[Callable[..., Any]]:
        """Gives a `start` that comes back at once: batches are predicted in threads."""
        # What stands around the prediction, a thread would not know.
        device = _CONFIG.jax_default_device
        precision = _CONFIG.jax_default_matmul_precision

        def start(inputs: list[np.ndarray], tables: Any) -> Any:
            with jax.default_device(device), jax.default_matmul_precision(precision):
                return self.finish(self.start(inputs, tables))

        return threads.at_once(start)

    def precompute(self, words: int) -> Any:
        """Computes what hangs on the weights alone, for batches of so many words together."""
        layers = precomputed.layers(self.layers, words)
        with self.lock:
            weights = self._weights()
            if layers == self.kept_layers:
                return layers, self._keep(weights)
            return layers, self.programs[0](layers, weights) if layers else ()

    def start(self, inputs: list[np.ndarray], tables: Any = None) -> Any:
        """Predicts a batch.

        Args:
            inputs: Arrays in the order of the model's inputs.
            tables: What `precompute` gave, if the weights have not changed since.

        Returns:
            What `finish` is to be given.
        """
        weights = self._weights()
        layers, tensors = tables or (self.kept_layers, self._keep(weights))
        settings = _CONFIG.jax_default_device, _CONFIG.jax_default_matmul_precision
        shapes = (layers, settings, *(array.shape for array in inputs))
        if shapes in self.shapes:
            return self.programs[1](layers, weights, tensors, inputs)
        # While a program is traced, Keras notes things on the layers.
        with self.lock:
            if len(self.shapes) == MOST_SHAPES:
                self._compile()
            outputs = self.programs[1](layers, weights, tensors, inputs)
            self.shapes.add(shapes)
            return outputs

    def finish(self, outputs: Any) -> list[np.ndarray]:
        """Waits for a batch, and gives arrays in the order of the model's outputs."""
        return list(map(np.asarray, threads.awaited(outputs)))

    def _keep(self, weights: list[jax.Array]) -> Any:
        """The tables of the last call where the weights have not changed since."""
        if not self.kept_layers:
            return ()
        with self.lock:
            known, tables = self.kept
            # No array of JAX ever changes: other weights are other arrays.
            if len(known) != len(weights) or any(map(operator.is_not, known, weights)):
                tables = self.programs[0](self.kept_layers, weights)
                self.kept = weights, tables
            return tables

    def _weights(self) -> list[jax.Array]:
        return [variable.value for variable in self.model.variables]

    def _scope(self, weights: list[jax.Array]) -> keras.StatelessScope:
        return keras.StatelessScope(list(zip(self.model.variables, weights, strict=True)))

    def _tables(self, layers: tuple[Any, ...], weights: list[jax.Array]) -> Any:
        with self._scope(weights):
            return precomputed.compute(layers)

    def _call(
        self, layers: tuple[Any, ...], weights: list[jax.Array], tables: Any, inputs: Any
    ) -> Any:
        inputs = keras.tree.pack_sequence_as(self.model.input, inputs)
        with self._scope(weights), precomputed.giving(layers, tables), ending_early(self.early):
            return keras.tree.flatten(self.model(inputs, training=False))


def prepare_training(
    model: keras.Model,
    inputs: list[np.ndarray],
    size: int,
    epochs: int,
    initial_epoch: int = 0,
    own_widths: bool = False,
) -> Shapes:
    """Decides about the shapes of batches: see TensorFlow's."""
    before = model._plan
    rows = len(inputs[0]) if inputs else 0
    filled = (before.filled > 0 or (rows > size and rows % size > 0)) and _may_fill(model, TRAINING)
    early = ends_early(model)
    shared = bool(model.jit_compile) and not own_widths and early and has_padding(inputs)
    widths = tuple(array.shape[1] for array in inputs) if shared else before.widths
    model._plan = Plan(size if filled else 0, before.tested, widths=widths)
    if (filled, widths) != (before.filled > 0, before.widths):
        model.make_train_function(force=True)
    few = model.jit_compile and not (early or has_large_products(model))
    return Shapes(shared, filled, -(-rows // size) * epochs if few else 0)


def prepare_testing(model: keras.Model, inputs: list[np.ndarray], size: int) -> bool:
    """Decides whether the last batch of an evaluation is filled up, which `test_step` looks up.

    Args:
        model: The model that is to be evaluated.
        inputs: What it is given; nothing where that is not known.
        size: How many rows a step.
    """
    rows = len(inputs[0]) if inputs else 0
    filled = rows > size and rows % size > 0 and _may_fill(model, TESTING)
    if filled and not model._plan.tested:
        model._plan = dataclasses.replace(model._plan, tested=True)
        model.make_test_function(force=True)
    return filled


def part_widths(model: keras.Model) -> None:
    """Nothing: `train_step` sees which batches are narrower than the feed."""


def _may_fill(model: keras.Model, methods: tuple[str, ...]) -> bool:
    if not (model.jit_compile and model._compiled_by_known and model._metrics_hide_masked):
        return False
    # -1 stands for what was filled in.
    if not np.issubdtype(np.dtype(model_inputs(model)[0].dtype), np.signedinteger):
        return False
    signature = Signature(model)
    return signature.is_known(methods) and rows_are_apart(signature.layers)


def hide_filled_rows(model: keras.Model, x: Any, outputs: Any) -> Any:
    """Masks the outputs of rows that were filled in, whose first id is -1."""
    if not model._plan.hides or x is None:
        return outputs
    return masked(outputs, are_rows(x))


def call(layer: keras.layers.Layer, *arguments: Any, **options: Any) -> Any:
    """Calls a layer that another holds: see PyTorch's. Here a program is traced once."""
    return layer(*arguments, **options)


def train_step(model: keras.Model, step: Callable[..., Any], *arguments: Any) -> Any:
    """Takes Keras' own step, as `test_step` does: see TensorFlow's."""
    widths = tuple(part.shape[1] for part in keras.tree.flatten(arguments[1][0]) if part.ndim > 1)
    # A program for batches that are narrower than the feed is for their length alone.
    with ending_early(widths == model._plan.widths):
        return test_step(model, step, *arguments)


def test_step(model: keras.Model, step: Callable[..., Any], *arguments: Any) -> Any:
    """Takes Keras' own step, and leaves out what was filled in."""
    logs, after = step(*arguments)
    if not model._plan.hides:
        return logs, after
    # Keras has weighed the losses of the step, that of each output, by the rows of the batch.
    before, (x, *_) = arguments[0][-1], arguments[1]
    share = keras.ops.mean(keras.ops.cast(are_rows(x), "float32"))
    losses = [metric for metric in model.metrics if type(metric) is keras.metrics.Mean]
    own = {id(variable) for loss in losses for variable in loss.variables}
    values = list(after[-1])
    for place, variable in enumerate(model.metrics_variables):
        if id(variable) in own:
            values[place] = before[place] + (values[place] - before[place]) * share
    scope = keras.StatelessScope(list(zip(model.metrics_variables, values, strict=True)))
    with scope:
        logs = {**logs, **{loss.name: loss.result() for loss in losses}}
    return logs, (*after[:-1], values)
