"""How models train and predict on PyTorch: data, weights, recorded programs."""

from __future__ import annotations

import collections
import contextlib
import weakref
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import torch

from keras_qa.kernels.torch import Course, assumed, run_loop

# Recording costs as much as some thirty calls, so a shape must come up a few times first.
_CALLS_BEFORE_RECORDING = 3

# PyTorch shares the cores out by itself.
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
    """Predicts batches without Keras' loop over them, by recordings of the model's operations.

    Args:
        model: The model. Its weights may change afterwards.
    """

    def __init__(self, model: keras.Model) -> None:
        self.programs = _Programs(model, training=False)

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
        # PyTorch warns of arrays that are not to be written to.
        inputs = [array if array.flags.writeable else array.copy() for array in inputs]
        with torch.inference_mode():
            return _to_numpy(self.programs([torch.from_numpy(array) for array in inputs]))


class _Programs:
    """Calls a model without its layers, where the shapes of a batch come up again and again.

    A Keras layer costs more time in Python than the arithmetic of few rows. So the operations of a
    call are recorded, for each shape, and done again without the layers. A recording is of one
    course of the code: where that hangs on values, the kernels take the usual course and hand out
    the flag that it hangs on; if one is false, the layers are called. Batches without padding have
    recordings of their own. A model with a layer that is neither Keras' nor ours is not recorded:
    the layer may ask for values unseen.
    """

    def __init__(self, model: keras.Model, training: bool) -> None:
        self.model = model
        self.training = training
        self.calls: collections.Counter[Any] = collections.Counter()
        self.programs: dict[Any, Any] = {}
        self.settings = self._settings()
        self.recordable = not model.run_eagerly and all(map(_is_recordable, model.operations))
        if training:
            self.recordable &= not model.jit_compile
        self.compared = False
        self.calls_before = 0 if training else _CALLS_BEFORE_RECORDING

    def is_outdated(self) -> bool:
        """Whether layers were frozen or thawed, or are to be called one by one from now on."""
        return self.settings != self._settings()

    def _settings(self) -> Any:
        model = self.model
        trainable = [variable.trainable for variable in model.variables]
        return trainable, model.run_eagerly, model.jit_compile

    def __call__(self, tensors: list[torch.Tensor]) -> Any:
        if not self.recordable:
            return self._call(*tensors)
        if self.training and not self.compared:
            self.compared = True
            return self._call_and_compare(tensors)
        full = all(bool(tensor.all()) for tensor in tensors)
        course = (full, *(tensor.shape for tensor in tensors))
        self.calls[course] += 1
        if self.calls[course] == self.calls_before + 1:
            recorded = _recorded(self._call, tensors, full)
            self.programs[course] = recorded.forward if self.training else _Folded(recorded)
        program = self.programs.get(course)
        if program is not None:
            outputs, flags = program(*tensors)
            if all(flags):
                return outputs
        return self._call(*tensors)

    def _call_and_compare(self, tensors: list[torch.Tensor]) -> Any:
        """Calls, and finds out whether that does more than give outputs: a recording does not."""
        state = [variable.value for variable in self.model.non_trainable_variables]
        before = [value.clone() for value in state]
        outputs = self._call(*tensors)
        self.recordable = not self.model.losses and all(map(torch.equal, before, state))
        return outputs

    def _call(self, *tensors: torch.Tensor) -> Any:
        inputs = keras.tree.pack_sequence_as(self.model.input, tensors)
        return self.model(inputs, training=self.training)


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


def _recorded(
    call: Callable[..., Any], tensors: list[torch.Tensor], full: bool
) -> torch.fx.GraphModule:
    # Imported here: it brings a symbolic algebra system along.
    from torch.fx.experimental.proxy_tensor import make_fx

    def call_with_flags(*tensors: torch.Tensor) -> Any:
        course = Course(full)
        token = assumed.set(course)
        try:
            return call(*tensors), course.flags
        finally:
            assumed.reset(token)

    program = make_fx(call_with_flags, pre_dispatch=True)(*tensors)
    # Most of Keras' casts change nothing.
    same: dict[torch.fx.Node, torch.fx.Node] = {}
    for node, given in _NoOps(program, garbage_collect_values=False).found(tensors):
        node.replace_all_uses_with(same.get(given, given))
        same[node] = same.get(given, given)
    program.graph.eliminate_dead_code()
    # What was recorded is the loop alone, without what chooses its threads.
    for loop in (torch.ops.aten.lstm.input, torch.ops.aten.gru.input):
        for node in program.graph.find_nodes(op="call_function", target=loop):
            node.args, node.target = (loop, *node.args), run_loop
    program.recompile()
    return program


class _Folded:
    """A recording in two parts: what hangs on the weights alone, and the rest.

    The first part is computed again where a weight has changed: each change counts up a tensor's
    version.

    Args:
        program: The recording, which becomes the second part.
    """

    def __init__(self, program: torch.fx.GraphModule) -> None:
        graph = program.graph
        weights = [node for node in graph.nodes if node.op == "get_attr"]
        values = [getattr(program, node.target) for node in weights]
        # What was made in recording is a constant, and counts no versions.
        self.weights = [value for value in values if not value.is_inference()]
        self.versions: list[int] | None = None
        first = torch.fx.Graph()
        copies: dict[torch.fx.Node, torch.fx.Node] = {}
        for node in graph.nodes:
            given = node.all_input_nodes
            if node in weights or (_is_pure(node.target) and all(n in copies for n in given)):
                copies[node] = first.node_copy(node, copies.__getitem__)
        first_user = next(node for node in graph.nodes if node.op != "placeholder")
        needed = [n for n in copies if any(user not in copies for user in n.users)]
        first.output([copies[node] for node in needed])
        for node in needed:
            with graph.inserting_before(first_user):
                given = graph.placeholder(f"folded_{node.name}")
            node.replace_all_uses_with(given, lambda user: user not in copies)
        graph.eliminate_dead_code()
        program.recompile()
        self.first = torch.fx.GraphModule(program, first).forward
        self.rest = program.forward

    def __call__(self, *tensors: torch.Tensor) -> Any:
        versions = [weight._version for weight in self.weights]
        if versions != self.versions:
            self.folded = self.first()
            self.versions = versions
        return self.rest(*tensors, *self.folded)


def _is_pure(target: Any) -> bool:
    return (
        isinstance(target, torch._ops.OpOverload)
        and not target._schema.is_mutable
        and torch.Tag.nondeterministic_seeded not in target.tags
    )


class _NoOps(torch.fx.Interpreter):
    """Finds the operations of a program that return what they are given, and what that is."""

    def found(self, tensors: list[torch.Tensor]) -> list[tuple[torch.fx.Node, torch.fx.Node]]:
        self.no_ops: list[tuple[torch.fx.Node, torch.fx.Node]] = []
        self.run(*tensors)
        return self.no_ops

    def run_node(self, node: torch.fx.Node) -> Any:
        result = super().run_node(node)
        given = node.args[0] if node.args else None
        if _is_pure(node.target) and isinstance(given, torch.fx.Node) and result is self.env[given]:
            self.no_ops.append((node, given))
        return result


# A shorter training is over before recording has paid.
LEAST_STEPS = 24

_training_programs: weakref.WeakKeyDictionary[keras.Model, _Programs]
_training_programs = weakref.WeakKeyDictionary()


def prepare_training(model: keras.Model, steps: int) -> None:
    """Decides whether the steps of a training are recorded, which `train_step` then looks up.

    Args:
        model: The model that is to train.
        steps: How many steps there will be, of few shapes; 0 where that is not known.
    """
    known = _training_programs.get(model)
    if steps >= LEAST_STEPS and (known is None or known.is_outdated()):
        _training_programs[model] = _Programs(model, training=True)
    elif known is not None and known.is_outdated():
        del _training_programs[model]


def train_step(model: keras.Model, step: Callable[..., Any], data: Any) -> Any:
    """Does one step of training, its forward pass recorded as `_Programs` records it.

    Args:
        model: The model that trains.
        step: Its `train_step` by Keras, for where nothing is recorded.
        data: Inputs, labels and weights of the examples.

    Returns:
        The metrics by name.
    """
    programs = _training_programs.get(model)
    if programs is None or not programs.recordable:
        return step(data)
    x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
    # `train_on_batch` hands arrays over.
    outputs = programs([keras.ops.convert_to_tensor(part) for part in keras.tree.flatten(x)])
    model.zero_grad()
    loss = model.compute_loss(x, y, outputs, sample_weight, training=True)
    for metric in model.metrics:
        if metric.name == "loss":
            metric.update_state(loss, sample_weight=len(keras.tree.flatten(x)[0]))
    model.optimizer.scale_loss(loss).backward()
    weights = model.trainable_variables
    with torch.no_grad():
        model.optimizer.apply([weight.value.grad for weight in weights], weights)
    return model.compute_metrics(x, y, outputs, sample_weight=sample_weight)
