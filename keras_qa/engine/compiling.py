"""Compiling: types of its arguments, and configs that load on any backend."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import keras

from keras_qa.engine import execution
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


class PortableModel(keras.Model):
    """A model whose `compile` can be saved on one backend and loaded on another."""

    _jit_compile_given: bool | str = "auto"

    def compile(self, *args: Any, **kwargs: Any) -> None:
        """Prepares for training, as `keras.Model.compile` does."""
        super().compile(*args, **kwargs)
        given = inspect.signature(super().compile).bind(*args, **kwargs).arguments
        self._jit_compile_given = given.get("jit_compile", "auto")
        if self._jit_compile_given == "auto" and not self.run_eagerly:
            names = ("loss", "metrics", "weighted_metrics")
            own = keras.tree.flatten([given.get(name) for name in names])
            if execution.jit_compile(self, own):
                self.jit_compile = True

    def get_compile_config(self) -> Any:
        config = _portable(super().get_compile_config())
        if config:
            # Keras saves the value that it chose for "auto", which differs between backends.
            config["jit_compile"] = self._jit_compile_given
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
