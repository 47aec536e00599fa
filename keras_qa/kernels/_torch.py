"""PyTorch's kernels, and what else only PyTorch needs.

LSTM and GRU: the framework's own fused loops under Keras' weights.

`torch._VF.lstm` and `torch._VF.gru` are what `torch.nn.LSTM` and `torch.nn.GRU` call (oneDNN or a
C++ loop on a CPU, cuDNN on a GPU, the latter not measured). They know no masks, and packing costs
more than it saves; so the valid steps of a row are moved to its front (where padding is on the
right they are there already), the loop runs over all steps, and a state at the last valid step is
gathered. That is exact for any mask.
"""

from __future__ import annotations

import collections
import contextlib
import contextvars
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import torch

# What Keras' own loop gives on this backend for masked steps before the first valid one:
# the initial state if true, else zeros.
HOLDS_INITIAL_STATE = False

# Whether the loops take ids: torch's project their steps themselves.
TAKES_IDS = False

# Added to a gate's pre-activation it makes the sigmoid 0 or 1 exactly, in half precision too.
_SATURATED = 1e4

# What the program being recorded takes for true: see `compiled`.
_assumed: contextvars.ContextVar[list[torch.Tensor] | None]
_assumed = contextvars.ContextVar("assumed", default=None)

# Recording costs as much as some thirty calls, so a shape must come up a few times first.
_CALLS_BEFORE_RECORDING = 3


def lstm(
    x,
    mask,
    initial_h,
    initial_c,
    kernel,
    recurrent_kernel,
    bias,
    *,
    go_backwards=False,
    return_sequences=False,
    return_state=False,
    training=True,
):
    """See `keras_qa.kernels.lstm`."""
    _check_steps(x)
    x, layout = _valid_first(x, mask, go_backwards)
    if return_state and layout is not None:
        x, kernel = _hold_cell(x, kernel, layout.counts)
    # Keras' gates i, f, c, o are torch's i, f, g, o.
    weights = _weights(kernel, recurrent_kernel, (bias, None), x)
    state = (initial_h[None].contiguous(), initial_c[None].contiguous())
    outputs, h, c = torch._VF.lstm(
        x, state, weights, bias is not None, 1, 0.0, torch.is_grad_enabled(), False, True
    )
    outputs, h = _held(outputs, h[0], initial_h, layout, return_sequences)
    return outputs, h, c[0] if return_state else None


def gru(
    x,
    mask,
    initial_h,
    kernel,
    recurrent_kernel,
    bias,
    *,
    go_backwards=False,
    return_sequences=False,
    training=True,
):
    """See `keras_qa.kernels.gru`."""
    _check_steps(x)
    x, layout = _valid_first(x, mask, go_backwards)
    biases = (None, None) if bias is None else (_reset_first(bias[0]), _reset_first(bias[1]))
    weights = _weights(_reset_first(kernel), _reset_first(recurrent_kernel), biases, x)
    outputs, h = torch._VF.gru(
        x,
        initial_h[None].contiguous(),
        weights,
        bias is not None,
        1,
        0.0,
        torch.is_grad_enabled(),
        False,
        True,
    )
    return _held(outputs, h[0], initial_h, layout, return_sequences)


def keras_is_fused(kind, mask):
    """See `keras_qa.kernels.keras_is_fused`."""
    return False


def _check_steps(x):
    if not x.is_floating_point():
        raise NotImplementedError("torch's loops take vectors, not ids")


def _weights(kernel, recurrent_kernel, biases, x):
    weights = [kernel.t().contiguous(), recurrent_kernel.t().contiguous()]
    if biases[0] is None:
        return weights
    return weights + [x.new_zeros(kernel.shape[1]) if b is None else b for b in biases]


def _reset_first(weight):
    # Keras' gates z, r, h are torch's r, z, n.
    z, r, h = weight.chunk(3, dim=-1)
    return torch.cat([r, z, h], dim=-1)


class _Layout:
    """Where the steps of a masked batch went: how many are valid, and which are computed when."""

    def __init__(self, mask, go_backwards):
        self.mask = mask.flip(1) if go_backwards else mask
        self.counts = mask.sum(1)
        # A look at the values: free on a CPU, one synchronisation on a GPU. A tensor without
        # values (Keras infers shapes on the "meta" device) takes the general way.
        self.right_padded = mask.device.type != "meta" and _holds(
            (mask[:, 1:] <= mask[:, :-1]).all()
        )
        if self.right_padded and not go_backwards:
            self.order = None
        elif self.right_padded:
            steps = torch.arange(mask.shape[1], device=mask.device)
            self.order = (self.counts[:, None] - 1 - steps) % mask.shape[1]
        else:
            self.order = torch.argsort((~self.mask).to(torch.uint8), dim=1, stable=True)
            if go_backwards:
                self.order = mask.shape[1] - 1 - self.order


def _holds(flag):
    """The value of a flag. While a program is recorded it is true, and kept to be checked."""
    assumed = _assumed.get()
    if assumed is None:
        return bool(flag)
    assumed.append(flag)
    return True


def _valid_first(x, mask, go_backwards):
    if mask is None:
        return (x.flip(1) if go_backwards else x), None
    if mask.device.type != "meta" and _assumed.get() is None and bool(mask.all()):
        return _valid_first(x, None, go_backwards)
    layout = _Layout(mask, go_backwards)
    if layout.order is not None:
        rows = torch.arange(x.shape[0], device=x.device)[:, None]
        x = x[rows, layout.order]
    return x, layout


def _hold_cell(x, kernel, counts):
    """One more feature, 1 past the valid steps, that shuts the input gate and opens the forget
    gate: the cell state after the last step is the one after the last valid step."""
    steps = torch.arange(x.shape[1], device=x.device)
    past = (steps >= counts[:, None]).to(x.dtype)[..., None]
    units = kernel.shape[1] // 4
    gates = kernel.new_tensor([-_SATURATED, _SATURATED, 0, 0]).repeat_interleave(units)
    return torch.cat([x, past], dim=2), torch.cat([kernel, gates[None]])


def _held(outputs, last_h, initial_h, layout, return_sequences):
    """Outputs and last state with the state held over masked steps."""
    if layout is None:
        return (outputs if return_sequences else None), last_h
    rows = torch.arange(outputs.shape[0], device=outputs.device)
    counts = layout.counts
    # An empty row has no last valid step: it keeps the initial state.
    last_h = torch.where((counts > 0)[:, None], outputs[rows, (counts - 1).clamp(min=0)], initial_h)
    if not return_sequences:
        return None, last_h
    if layout.right_padded and layout.order is None:
        return torch.where(layout.mask[..., None], outputs, last_h[:, None]), last_h
    position = layout.mask.cumsum(1)
    outputs = torch.cat([initial_h[:, None], outputs], dim=1)
    return outputs[rows[:, None], position], last_h


# --- Data, weights, programs --------------------------------------------------------------------


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


def as_dataset(batches: Any) -> Any:
    """Returns the batches as they are: PyTorch takes each with a shape of its own."""
    return batches


def compiled(model: keras.Model) -> Any:
    """Gives a function that predicts one batch, without Keras' loop over batches.

    A Keras layer costs more time in Python than the arithmetic of few rows. So the operations of a
    call are recorded, for each shape that comes up more than a few times, and done again without
    the layers. A recording is of one course of the code: where that hangs on values, the kernels
    take the usual course and hand out the flag that it hangs on; if one is false, the layers are
    called. So they are where a layer is neither Keras' nor ours: it may ask for values unseen.

    Args:
        model: The model. Its weights may change afterwards.

    Returns:
        A function from a list of arrays, in the order of the model's inputs, to arrays in the
        structure of its outputs.
    """
    recordable = not model.run_eagerly and all(map(_is_recordable, model.operations))
    calls: collections.Counter[Any] = collections.Counter()
    programs: dict[Any, Any] = {}

    def call(*tensors: torch.Tensor) -> Any:
        return model(keras.tree.pack_sequence_as(model.input, tensors), training=False)

    def run(inputs: list[np.ndarray]) -> Any:
        tensors = [torch.from_numpy(array) for array in inputs]
        shapes = tuple(tensor.shape for tensor in tensors)
        calls[shapes] += 1
        with torch.inference_mode():
            if recordable and calls[shapes] == _CALLS_BEFORE_RECORDING + 1:
                programs[shapes] = _recorded(call, tensors)
            program = programs.get(shapes)
            if program is not None:
                outputs, flags = program(*tensors)
                if all(flags):
                    return _to_numpy(outputs)
            return _to_numpy(call(*tensors))

    return run


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
        token = _assumed.set([])
        try:
            return call(*tensors), _assumed.get()
        finally:
            _assumed.reset(token)

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
