"""`CompiledModel`: its compiled functions follow changes, and its files load on any backend."""

from __future__ import annotations

import contextlib
import copy
import inspect
import types
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import keras

from keras_qa._arguments import must_be
from keras_qa.engine import execution
from keras_qa.engine.arrays import has_full_rows
from keras_qa.engine.graph import LayerState
from keras_qa.engine.sources import RaiseErrors
from keras_qa.layers.kernels.tensor_types import Tensor

Optimizer: TypeAlias = str | keras.optimizers.Optimizer

Loss: TypeAlias = str | keras.losses.Loss | Callable[[Tensor, Tensor], Tensor]

Callbacks: TypeAlias = (
    keras.callbacks.Callback
    | Sequence[keras.callbacks.Callback]
    | keras.callbacks.CallbackList
    | None
)

# The loss, or the loss and the metrics as a list or by name.
Scores: TypeAlias = float | list[float] | dict[str, float]


_FUNCTIONS = ("train_function", "test_function", "predict_function")


class CompiledModel(execution.Model):
    """A model that compiles its functions again after changes, and saves `compile` portably."""

    _jit_compile_argument: bool | str = "auto"
    # Whether XLA compiles predictions, and training on rows without padding, see `execution`.
    _compiles_loops: bool = False
    _compiles_training: bool = False
    _layer_state: LayerState | None = None
    _predict_batch: execution.BatchPredictor | None = None
    # Compiled functions that have to be made again.
    _outdated: frozenset[str] = frozenset()
    # `form_of` the last labels and weights, by compiled function and their number.
    _forms: Mapping[tuple[str, int], list[str]] = types.MappingProxyType({})

    def compile(self, *args: Any, **kwargs: Any) -> None:
        """Prepares for training, as `keras.Model.compile` does."""
        super().compile(*args, **kwargs)
        arguments = inspect.signature(super().compile).bind(*args, **kwargs).arguments
        self._jit_compile_argument = arguments.get("jit_compile", "auto")
        names = ("loss", "metrics", "weighted_metrics")
        own = keras.tree.flatten([arguments.get(name) for name in names])
        is_free = self._jit_compile_argument == "auto" and not self.run_eagerly
        self._compiles_loops = is_free and execution.compiles_loops(self, own)

    def get_compile_config(self) -> Any:
        config = _portable(super().get_compile_config())
        if config:
            # Keras saves the value that it chose for "auto", which differs between backends.
            config["jit_compile"] = self._jit_compile_argument
            config["optimizer_built"] = bool(self.optimizer is not None and self.optimizer.built)
        return config

    def compile_from_config(self, config: Any) -> None:
        # Keras' own method raises an error if `compile` is overridden.
        config = dict(config)
        # Do not build an optimizer that was not built: Keras would warn that the file lacks its
        # variables.
        is_built = config.pop("optimizer_built", True)
        self.compile(**keras.saving.deserialize_keras_object(config))
        if self.optimizer is not None and self.built and is_built:
            self.optimizer.build(self.trainable_variables)

    def make_train_function(self, force: bool = False) -> Any:
        """Creates the function of a training step, as `keras.Model` does."""
        if not self._compiles_training:
            return super().make_train_function(force=force)
        chosen: bool = super().jit_compile
        self.jit_compile = True
        try:
            return super().make_train_function(force=force)
        finally:
            self.jit_compile = chosen

    def _choose_compilation(self, inputs: Any) -> None:
        """Chooses XLA for training on arrays without padding, if it compiles loops.

        `None` and data sources, whose rows are not known, are trained without it.
        """
        compiles = self._compiles_loops and has_full_rows(inputs)
        if compiles != self._compiles_training:
            self._compiles_training = compiles
            self.train_function = None

    def _predictor(self) -> execution.BatchPredictor:
        if self._predict_batch is None:
            self._predict_batch = execution.BatchPredictor(self)
        return self._predict_batch

    @contextlib.contextmanager
    def _remade_if_changed(self, function: str) -> Iterator[LayerState]:
        """Recreates a compiled function if a layer has changed since it was created.

        Keras uses a compiled function until `compile` is called, even if layers have changed.
        """
        state = self._layer_state
        is_new = state is None or not state.is_current()
        if state is None or is_new:
            self._outdated = frozenset() if state is None else frozenset(_FUNCTIONS)
            self._layer_state = state = LayerState(self)
            self._predict_batch = None
        if function in self._outdated:
            self._outdated = self._outdated - {function}
            setattr(self, function, None)
        try:
            yield state
        finally:
            if is_new:
                state.settle()

    @contextlib.contextmanager
    def _guard(self, function: str, may_end: bool = False) -> Iterator[list[Any]]:
        """Keeps the weights after an exception, and raises the original error of a data source.

        `function` is the name of Keras' compiled function. For `train_function` the state of the
        optimizer is kept too. With `may_end` a generator may end early without a warning. Gives
        the callbacks that this needs.
        """
        hooks: list[Any] = []
        before = self._forms
        with warnings.catch_warnings():
            if may_end:
                warnings.filterwarnings("ignore", message="Your input ran out of data")
            try:
                kept = execution.keep_weights(self, trains=function == "train_function")
                remade = self._remade_if_changed(function)
                with remade, execution.on_devices(self), kept as callbacks:
                    hooks += callbacks
                    yield hooks
            except BaseException:
                sources = [hook.source for hook in hooks if isinstance(hook, RaiseErrors)]
                if self._forms is not before and not any(source.error for source in sources):
                    # TensorFlow fails at every call of a function whose trace has failed.
                    self._forms = {}
                raise
            finally:
                for hook in hooks:
                    if isinstance(hook, RaiseErrors):
                        hook.check()

    def _follow_form(self, function: str, form: Any) -> None:
        """Recreates a compiled function for labels or weights of other ranks.

        TensorFlow would trace it again for an unknown rank, which Keras does not support.
        """
        leaves = [leaf for leaf in keras.tree.flatten(form) if leaf is not None]
        key = function, len(leaves)
        if self._forms.get(key) != leaves:
            setattr(self, function, None)
        self._forms = {**self._forms, key: leaves}


def flat_callbacks(callbacks: Callbacks) -> list[keras.callbacks.Callback]:
    """Returns callbacks as a list. Raises a `TypeError` if something else is among them."""
    if callbacks is None:
        return []
    try:
        own = keras.tree.flatten(getattr(callbacks, "callbacks", callbacks))
    except RecursionError:
        own = [callbacks]
    if not all(isinstance(callback, keras.callbacks.Callback) for callback in own):
        raise TypeError(must_be("callbacks", "a list of `keras.callbacks.Callback`", callbacks))
    return own


def with_hooks(callbacks: Callbacks, hooks: list[Any]) -> Any:
    """Adds the callbacks of a call to those of the user."""
    if isinstance(callbacks, keras.callbacks.CallbackList):
        # Do not change the user's list.
        hooked = copy.copy(callbacks)
        hooked.callbacks = with_hooks(callbacks.callbacks, hooks)
        return hooked
    # The error of a source must be raised before callbacks save the model.
    first = [hook for hook in hooks if isinstance(hook, RaiseErrors)]
    return [*first, *flat_callbacks(callbacks), *(hook for hook in hooks if hook not in first)]


def resolve_optimizer(
    optimizer: Optimizer | Callable[[int], Optimizer] | None, rows: int
) -> Optimizer | None:
    """Calls a function that takes the number of training rows and returns an optimizer."""
    if callable(optimizer) and not isinstance(optimizer, keras.optimizers.Optimizer):
        return optimizer(rows)
    return optimizer


def recompile(model: keras.Model, optimizer: Optimizer) -> None:
    """Compiles a model again with another optimizer, and resets the optimizer."""
    optimizer = keras.optimizers.get(optimizer)
    if optimizer.built:
        # Its state belongs to other weights or to an earlier training.
        optimizer = optimizer.from_config(optimizer.get_config())
    # Keep the optimizer object: its config does not contain `exclude_from_weight_decay`.
    compiled = keras.saving.deserialize_keras_object(model.get_compile_config())
    del compiled["optimizer_built"]
    model.compile(**{**compiled, "optimizer": optimizer})
    optimizer.build(model.trainable_variables)


@contextlib.contextmanager
def without_optimizer_state(model: keras.Model) -> Iterator[None]:
    """Replaces the optimizer in the block by a new one, whose file needs no weights."""
    # A model that was loaded without compiling has no such attribute.
    optimizer = getattr(model, "optimizer", None)
    if optimizer is None:
        yield
        return
    model.optimizer = optimizer.from_config(optimizer.get_config())
    try:
        yield
    finally:
        model.optimizer = optimizer


def _portable(config: Any) -> Any:
    """Replaces the module of PyTorch's optimizers in a config by `keras.optimizers`.

    On PyTorch, Keras serializes optimizers as subclasses in a module of their own. Other backends
    cannot import it.
    """
    if isinstance(config, (list, tuple)):
        return [_portable(part) for part in config]
    if not isinstance(config, Mapping):
        return config
    parts = {name: _portable(part) for name, part in config.items()}
    if ".torch.optimizers." in str(parts.get("module")):
        parts["module"] = "keras.optimizers"
    return parts
