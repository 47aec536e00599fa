"""How models train and predict on PyTorch: data, weights, recorded programs."""

from __future__ import annotations

import collections
import contextlib
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import torch

from keras_qa.kernels._torch import assumed

# Recording costs as much as some thirty calls, so a shape must come up a few times first.
_CALLS_BEFORE_RECORDING = 3

# TensorFlow and PyTorch share the cores out by themselves.
PROGRAMS_AT_ONCE = 1


def seed(seed: int) -> None:
    """Seeds what the backend draws from outside of Keras' seed generators.

    Here that is dropout, where a layer was given no seed.

    Args:
        seed: The seed.
    """
    torch.manual_seed(seed)


def keep_weights(model: keras.Model) -> contextlib.AbstractContextManager[list[Any]]:
    """Does nothing: PyTorch's parameters outlive any exception."""
    return contextlib.nullcontext([])


def as_dataset(batches: Any, in_memory: bool = False) -> Any:
    """Returns the batches as they are: PyTorch takes each with a shape of its own."""
    return batches


class compiled:
    """Predicts batches without Keras' loop over them.

    A Keras layer costs more time in Python than the arithmetic of few rows. So the operations of a
    call are recorded, for each shape that comes up more than a few times, and done again without
    the layers. A recording is of one course of the code: where that hangs on values, the kernels
    take the usual course and hand out the flag that it hangs on; if one is false, the layers are
    called. So they are where a layer is neither Keras' nor ours: it may ask for values unseen.

    Args:
        model: The model. Its weights may change afterwards.
    """

    def __init__(self, model: keras.Model) -> None:
        self.model = model
        self.calls: collections.Counter[Any] = collections.Counter()
        self.programs: dict[Any, Any] = {}
        self.recordable = not model.run_eagerly and all(map(_is_recordable, model.operations))

    def fold(self, words: int) -> Any:
        """Nothing: PyTorch's loops project their steps themselves."""

    def __call__(self, inputs: list[np.ndarray], folded: Any = None) -> Any:
        """Predicts a batch.

        Args:
            inputs: Arrays in the order of the model's inputs.
            folded: What `fold` gave.

        Returns:
            Arrays in the structure of the model's outputs.
        """
        tensors = [torch.from_numpy(array) for array in inputs]
        shapes = tuple(tensor.shape for tensor in tensors)
        self.calls[shapes] += 1
        with torch.inference_mode():
            if self.recordable and self.calls[shapes] == _CALLS_BEFORE_RECORDING + 1:
                self.programs[shapes] = _recorded(self._call, tensors)
            program = self.programs.get(shapes)
            if program is not None:
                outputs, flags = program(*tensors)
                if all(flags):
                    return _to_numpy(outputs)
            return _to_numpy(self._call(*tensors))

    def _call(self, *tensors: torch.Tensor) -> Any:
        return self.model(keras.tree.pack_sequence_as(self.model.input, tensors), training=False)


# Keras' layers that may hold code of somebody else.
_HOLDERS = (
    keras.Model,
    keras.layers.Lambda,
    keras.layers.RNN,
    keras.layers.TorchModuleWrapper,
    keras.layers.Wrapper,
)


def _is_recordable(operation: keras.Operation) -> bool:
    module = type(operation).__module__
    return module.startswith("keras_qa.") or (
        module.startswith("keras.") and not isinstance(operation, _HOLDERS)
    )


def _to_numpy(outputs: Any) -> Any:
    if isinstance(outputs, torch.Tensor):
        return keras.ops.convert_to_numpy(outputs)
    return keras.tree.map_structure(_to_numpy, outputs)


def _recorded(call: Callable[..., Any], tensors: list[torch.Tensor]) -> Callable[..., Any]:
    # Imported here: it brings a symbolic algebra system along.
    from torch.fx.experimental.proxy_tensor import make_fx

    def call_with_flags(*tensors: torch.Tensor) -> Any:
        token = assumed.set([])
        try:
            return call(*tensors), assumed.get()
        finally:
            assumed.reset(token)

    program = make_fx(call_with_flags, pre_dispatch=True)(*tensors)
    # Most of Keras' casts change nothing.
    same: dict[torch.fx.Node, torch.fx.Node] = {}
    for node, given in _NoOps(program, garbage_collect_values=False).found(tensors):
        node.replace_all_uses_with(same.get(given, given))
        same[node] = same.get(given, given)
    program.graph.eliminate_dead_code()
    program.recompile()
    return program.forward


class _NoOps(torch.fx.Interpreter):
    """Finds the operations of a program that return what they are given, and what that is."""

    def found(self, tensors: list[torch.Tensor]) -> list[tuple[torch.fx.Node, torch.fx.Node]]:
        self.no_ops: list[tuple[torch.fx.Node, torch.fx.Node]] = []
        self.run(*tensors)
        return self.no_ops

    def run_node(self, node: torch.fx.Node) -> Any:
        result = super().run_node(node)
        given = node.args[0] if node.args else None
        pure = isinstance(node.target, torch._ops.OpOverload) and not node.target._schema.is_mutable
        if pure and isinstance(given, torch.fx.Node) and result is self.env[given]:
            self.no_ops.append((node, given))
        return result


def prepare_training(model: keras.Model, steps: int) -> None:
    """Does nothing: only TensorFlow decides before a training."""


def train_step(model: keras.Model, step: Callable[..., Any], *arguments: Any) -> Any:
    """Takes Keras' own step: see TensorFlow's."""
    return step(*arguments)
