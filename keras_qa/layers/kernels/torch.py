"""Kernels on PyTorch: the functions of `torch.nn.LSTM` and `torch.nn.GRU` with Keras' weights.

`torch._VF.lstm` and `torch._VF.gru` run oneDNN or a C++ loop on a CPU, and cuDNN on a GPU (not
measured). They take no masks, and packed sequences cost more time than they save. Instead, the
valid steps of each row are moved to its front (right-padded rows need no move), the loop runs over
all steps, and the state at the last valid step is gathered. This is exact for any mask.

`Layer` is a layer that predictions call without Keras' checks and conversions.
"""

from __future__ import annotations

import contextvars
import functools
import inspect
from collections.abc import Callable
from typing import Any

import keras
import torch

from keras_qa.layers.kernels import reference
from keras_qa.layers.kernels.reference import scan as scan
from keras_qa.layers.kernels.reference import zeros as zeros

HOLDS_INITIAL_STATE = False

# Added to the pre-activation of a gate, it makes the sigmoid exactly 0 or 1, in half precision too.
_SATURATED = 1e4

# Up to this value of rows times units squared, one thread computes a step faster than two.
_SMALL_STEP = 2**13


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
    """See `keras_qa.layers.kernels.lstm`."""
    x, layout = _valid_first(x, mask, go_backwards)
    if return_state and layout is not None:
        x, kernel = _hold_cell(x, kernel, layout.counts)
    # Keras' gates i, f, c, o are PyTorch's i, f, g, o.
    weights = _weights(kernel, recurrent_kernel, (bias, None))
    state = (initial_h[None].contiguous(), initial_c[None].contiguous())
    outputs, h, c = _run_loop(
        torch._VF.lstm, x, state, weights, bias is not None, 1, 0.0, torch.is_grad_enabled(),
        False, True,
    )  # fmt: skip
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
    """See `keras_qa.layers.kernels.gru`."""
    x, layout = _valid_first(x, mask, go_backwards)
    biases = (None, None) if bias is None else (_reset_first(bias[0]), _reset_first(bias[1]))
    weights = _weights(_reset_first(kernel), _reset_first(recurrent_kernel), biases)
    outputs, h = _run_loop(
        torch._VF.gru, x, initial_h[None].contiguous(), weights, bias is not None, 1, 0.0,
        torch.is_grad_enabled(), False, True,
    )  # fmt: skip
    return _held(outputs, h[0], initial_h, layout, return_sequences)


def _run_loop(loop, x, state, weights, *arguments):
    """Runs a loop of PyTorch, in one thread if its steps are small."""
    if x.device.type == "cpu" and torch.is_autocast_enabled("cpu"):
        # Many processors cannot run loops in the types of autocast, and PyTorch raises an error.
        with torch.autocast("cpu", enabled=False):
            return _run_loop(loop, x, state, weights, *arguments)
    states = (state,) if isinstance(state, torch.Tensor) else state
    units = states[0].shape[-1]
    if x.device.type == "meta":
        # Keras infers shapes, for which PyTorch would run all steps in Python.
        return torch.nn.functional.linear(x, weights[0])[..., :units], *states
    threads = torch.get_num_threads()
    if states[0].numel() * units > _SMALL_STEP or threads == 1:
        return loop(x, state, weights, *arguments)
    torch.set_num_threads(1)
    try:
        return loop(x, state, weights, *arguments)
    finally:
        torch.set_num_threads(threads)


def look_up(table, ids):
    """See `keras_qa.layers.kernels.look_up`."""
    # Rows are gathered time first, the order in which the loops read them.
    ordered = ids.t() if ids.dim() == 2 else ids
    # The gradient of `torch.nn.functional.embedding` takes three times as long on a CPU.
    rows = table.index_select(0, ordered.reshape(-1)).reshape(*ordered.shape, table.shape[1])
    return rows.transpose(0, 1) if ids.dim() == 2 else rows


def dropout(inputs, rate, seed):
    """See `keras_qa.layers.kernels.dropout`."""
    if inputs.device.type != "cpu":
        return reference.dropout(inputs, rate, seed)
    # Each word of 64 bits gives four numbers of 16 bits. PyTorch's own dropout draws one for each
    # entry, in the same time as a word.
    count = inputs.numel()
    words = torch.randint(-(2**63), 2**63 - 1, ((count + 3) // 4,), dtype=torch.int64)
    drawn = words.view(torch.int16)[:count].view(inputs.shape)
    kept = drawn >= round(rate * 2**16) - 2**15
    return inputs * (kept.to(inputs.dtype) / (1 - rate))


def dense(inputs, kernel, bias):
    """See `keras_qa.layers.kernels.dense`."""
    if inputs.dtype != kernel.dtype:
        return reference.dense(inputs, kernel, bias)
    return torch.nn.functional.linear(inputs, kernel.T, bias)


def gelu(inputs):
    """See `keras_qa.layers.kernels.gelu`."""
    return torch.nn.functional.gelu(inputs)


def _weights(kernel, recurrent_kernel, biases):
    weights = [kernel.t().contiguous(), recurrent_kernel.t().contiguous()]
    if biases[0] is None:
        return weights
    return weights + [kernel.new_zeros(kernel.shape[1]) if b is None else b for b in biases]


def _reset_first(weight):
    # Keras' gates z, r, h are PyTorch's r, z, n.
    z, r, h = weight.chunk(3, dim=-1)
    return torch.cat([r, z, h], dim=-1)


class _Layout:
    """The valid steps of a masked batch: their number and their order of computation."""

    def __init__(self, mask, go_backwards):
        self.mask = mask.flip(1) if go_backwards else mask
        self.counts = mask.sum(1)
        # Reads values: free on a CPU, one synchronisation on a GPU.
        is_right_padded = bool((mask[:, 1:] <= mask[:, :-1]).all())
        self.order = None
        if go_backwards or not is_right_padded:
            self.order = torch.argsort((~self.mask).to(torch.uint8), dim=1, stable=True)
        if go_backwards:
            self.order = mask.shape[1] - 1 - self.order


def attention(query, key, value, bias, scale, drop=None):
    """See `keras_qa.layers.kernels.attention`."""
    if query.device.type != "cpu" or drop is not None:
        return reference.attention(query, key, value, bias, scale, drop)
    # A text without padding has a bias of zeros. With gradients, the zeros may be learned.
    adds_nothing = not torch.is_grad_enabled() and bias.shape[2] == 1 and not bias.any()
    # Keras calls the same function, but copies all three tensors before.
    return torch.nn.functional.scaled_dot_product_attention(
        query, key, value, attn_mask=None if adds_nothing else bias.to(query.dtype), scale=scale
    )


def _valid_first(x, mask, go_backwards):
    # Masks change no shapes, which Keras infers on the meta device.
    if mask is None or mask.device.type == "meta" or bool(mask.all()):
        return (x.flip(1) if go_backwards else x), None
    layout = _Layout(mask, go_backwards)
    if layout.order is not None:
        rows = torch.arange(x.shape[0], device=x.device)[:, None]
        x = x[rows, layout.order]
    return x, layout


def _hold_cell(x, kernel, counts):
    """Adds a feature that is 1 after the valid steps, and keeps the cell state over these steps.

    It closes the input gate and opens the forget gate.
    """
    steps = torch.arange(x.shape[1], device=x.device)
    past = (steps >= counts[:, None]).to(x.dtype)[..., None]
    units = kernel.shape[1] // 4
    gates = kernel.new_tensor([-_SATURATED, _SATURATED, 0, 0]).repeat_interleave(units)
    return torch.cat([x, past], dim=2), torch.cat([kernel, gates[None]])


def _held(outputs, last_h, initial_h, layout, return_sequences):
    """Outputs and last state, with the state held over masked steps."""
    if layout is None:
        return (outputs if return_sequences else None), last_h
    rows = torch.arange(outputs.shape[0], device=outputs.device)
    counts = layout.counts
    # A row without valid steps keeps the initial state.
    last_h = torch.where((counts > 0)[:, None], outputs[rows, (counts - 1).clamp(min=0)], initial_h)
    if not return_sequences:
        return None, last_h
    if layout.order is None:
        return torch.where(layout.mask[..., None], outputs, last_h[:, None]), last_h
    position = layout.mask.cumsum(1)
    outputs = torch.cat([initial_h[:, None], outputs], dim=1)
    return outputs[rows[:, None], position], last_h


# Whether a prediction calls the layers, see `engine.torch.DirectModel`.
is_direct = contextvars.ContextVar("is_direct", default=False)


class Layer(keras.layers.Layer):
    """A Keras layer that `DirectModel` calls without Keras' checks and conversions."""

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        if is_direct.get() and self.built and arguments:
            return call_directly(self, super().__call__, *arguments, **options)
        return super().__call__(*arguments, **options)


def call_directly(layer: Any, by_keras: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
    """Calls `layer.call`, and passes and sets masks as Keras does."""
    kind: Any = type(layer)
    takes_mask = takes(kind, "mask")
    if takes_mask and (len(arguments) > 1 or not {"mask", "training"}.issuperset(options)):
        # Let Keras assign masks to several arguments.
        return by_keras(*arguments, **options)
    mask = options.get("mask")
    if mask is None:
        mask = _masks(arguments[0])
        if takes_mask:
            options["mask"] = mask
    if "training" in options and not takes(kind, "training"):
        del options["training"]
    outputs = layer.call(*arguments, **options)
    if layer.supports_masking:
        _set_masks(outputs, layer.compute_mask(arguments[0], mask))
    return outputs


@functools.cache
def takes(kind: Any, name: str) -> bool:
    """Whether `call` of a class of layers has an argument."""
    return name in inspect.signature(kind.call).parameters


def _masks(inputs: Any) -> Any:
    if isinstance(inputs, torch.Tensor):
        return getattr(inputs, "_keras_mask", None)
    return keras.tree.map_structure(lambda tensor: getattr(tensor, "_keras_mask", None), inputs)


def _set_masks(outputs: Any, masks: Any) -> None:
    if masks is None:
        return
    pairs = zip(keras.tree.flatten(outputs), keras.tree.flatten(masks), strict=False)
    for output, mask in pairs:
        if mask is not None and getattr(output, "_keras_mask", None) is None:
            output._keras_mask = mask
