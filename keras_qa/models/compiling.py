"""Types of the arguments of `compile` and `fit`, and configs of `compile` for any backend."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import keras

from keras_qa.kernels.tensor_types import Tensor

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


def portable(config: Any) -> Any:
    """Replaces the module of PyTorch's optimizers in a config by `keras.optimizers`.

    On PyTorch, Keras serializes optimizers as subclasses in a module of their own. Other backends
    cannot import it.
    """
    if isinstance(config, (list, tuple)):
        return [portable(part) for part in config]
    if not isinstance(config, Mapping):
        return config
    parts = {name: portable(part) for name, part in config.items()}
    if ".torch.optimizers." in str(parts.get("module")):
        parts["module"] = "keras.optimizers"
    return parts


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
