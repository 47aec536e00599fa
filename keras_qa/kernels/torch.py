"""LSTM and GRU on PyTorch: the framework's own fused loops under Keras' weights.

`torch._VF.lstm` and `torch._VF.gru` are what `torch.nn.LSTM` and `torch.nn.GRU` call (oneDNN or a
C++ loop on a CPU, cuDNN on a GPU, the latter not measured). They know no masks, and packing costs
more than it saves; so the valid steps of a row are moved to its front (where padding is on the
right they are there already), the loop runs over all steps, and a state at the last valid step is
gathered. That is exact for any mask.
"""

from __future__ import annotations

import torch
from torch.autograd import forward_ad

from keras_qa.kernels import _reference
from keras_qa.kernels._reference import scan as scan

# What Keras' own loop gives on this backend for masked steps before the first valid one:
# the initial state if true, else zeros.
HOLDS_INITIAL_STATE = False

# Added to a gate's pre-activation it makes the sigmoid 0 or 1 exactly, in half precision too.
_SATURATED = 1e4

# Rows times the square of the units up to which a step is quicker in one thread than in two.
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
    table=None,
):
    """See `keras_qa.kernels.lstm`."""
    x = x if table is None else look_up(table, x)
    _check_steps(x)
    x, layout = _valid_first(x, mask, go_backwards)
    if return_state and layout is not None:
        x, kernel = _hold_cell(x, kernel, layout.counts)
    # Keras' gates i, f, c, o are torch's i, f, g, o.
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
    table=None,
):
    """See `keras_qa.kernels.gru`."""
    x = x if table is None else look_up(table, x)
    _check_steps(x)
    x, layout = _valid_first(x, mask, go_backwards)
    biases = (None, None) if bias is None else (_reset_first(bias[0]), _reset_first(bias[1]))
    weights = _weights(_reset_first(kernel), _reset_first(recurrent_kernel), biases)
    outputs, h = _run_loop(
        torch._VF.gru, x, initial_h[None].contiguous(), weights, bias is not None, 1, 0.0,
        torch.is_grad_enabled(), False, True,
    )  # fmt: skip
    return _held(outputs, h[0], initial_h, layout, return_sequences)


def _run_loop(loop, x, state, *arguments):
    """Runs a loop of torch's, in one thread where threads would only wait for each other."""
    hidden = state if isinstance(state, torch.Tensor) else state[0]
    threads = torch.get_num_threads()
    if hidden.numel() * hidden.shape[-1] > _SMALL_STEP or threads == 1:
        return loop(x, state, *arguments)
    torch.set_num_threads(1)
    try:
        return loop(x, state, *arguments)
    finally:
        torch.set_num_threads(threads)


def look_up(table, ids):
    """See `keras_qa.kernels.look_up`."""
    # In the order of steps, in which the loops would have to bring the rows of a batch.
    ordered = ids.t() if ids.dim() == 2 else ids
    # The gradient of `torch.nn.functional.embedding` takes three times as long on a CPU.
    rows = table.index_select(0, ordered.reshape(-1)).reshape(*ordered.shape, table.shape[1])
    return rows.transpose(0, 1) if ids.dim() == 2 else rows


def dropout(inputs, rate, seed):
    """See `keras_qa.kernels.dropout`."""
    if inputs.device.type != "cpu":
        return _reference.dropout(inputs, rate, seed)
    # Four numbers of 16 bits come out of one of 64, which takes as long to draw as PyTorch's own
    # dropout spends on each number.
    count = inputs.numel()
    words = torch.randint(-(2**63), 2**63 - 1, ((count + 3) // 4,), dtype=torch.int64)
    drawn = words.view(torch.int16)[:count].view(inputs.shape)
    kept = drawn >= round(rate * 2**16) - 2**15
    return inputs * (kept.to(inputs.dtype) / (1 - rate))


def gelu(inputs):
    """See `keras_qa.kernels.gelu`."""
    return torch.nn.functional.gelu(inputs)


def takes_ids():
    """See `keras_qa.kernels.takes_ids`: torch's loops project their steps themselves."""
    return False


def keras_is_fused():
    """See `keras_qa.kernels.keras_is_fused`."""
    return False


def check_transforms(*tensors):
    """See `keras_qa.kernels.check_transforms`."""
    for tensor in tensors:
        if not isinstance(tensor, torch.Tensor):
            continue
        if torch.func.debug_unwrap(tensor, recurse=False) is not tensor:
            raise NotImplementedError("the fused kernel has no rule for `torch.func`")
        if forward_ad.unpack_dual(tensor).tangent is not None:
            raise NotImplementedError("the fused kernel has no gradients in forward mode")


def _check_steps(x):
    if not x.is_floating_point():
        raise NotImplementedError("torch's loops take vectors, not ids")


def _weights(kernel, recurrent_kernel, biases):
    weights = [kernel.t().contiguous(), recurrent_kernel.t().contiguous()]
    if biases[0] is None:
        return weights
    return weights + [kernel.new_zeros(kernel.shape[1]) if b is None else b for b in biases]


def _reset_first(weight):
    # Keras' gates z, r, h are torch's r, z, n.
    z, r, h = weight.chunk(3, dim=-1)
    return torch.cat([r, z, h], dim=-1)


class _Layout:
    """Where the steps of a masked batch went: how many are valid, and which are computed when."""

    def __init__(self, mask, go_backwards):
        self.mask = mask.flip(1) if go_backwards else mask
        self.counts = mask.sum(1)
        # A look at the values: free on a CPU, one synchronisation on a GPU.
        self.right_padded = _holds((mask[:, 1:] <= mask[:, :-1]).all())
        if self.right_padded and not go_backwards:
            self.order = None
        elif self.right_padded:
            steps = torch.arange(mask.shape[1], device=mask.device)
            self.order = (self.counts[:, None] - 1 - steps) % mask.shape[1]
        else:
            self.order = torch.argsort((~self.mask).to(torch.uint8), dim=1, stable=True)
            if go_backwards:
                self.order = mask.shape[1] - 1 - self.order


# Keras' operations look for symbolic tensors in what they are given, which takes longer than these.
def split_heads(projected, num_heads):
    """See `keras_qa.kernels.split_heads`."""
    batch, time, _ = projected.shape
    return projected.reshape(batch, time, 3, num_heads, -1).permute(2, 0, 3, 1, 4).unbind()


def merge_heads(found):
    """See `keras_qa.kernels.merge_heads`."""
    return found.transpose(1, 2).flatten(2)


def attention(query, key, value, bias, scale, drop=None):
    """See `keras_qa.kernels.attention`."""
    if query.device.type != "cpu" or drop is not None:
        return _reference.attention(query, key, value, bias, scale, drop)
    # Nothing is padding where a text is read alone. In training a bias of zeros may be learned.
    adds_nothing = not torch.is_grad_enabled() and bias.shape[2] == 1 and not bias.any()
    # Keras copies all three before it calls the same, which reads them as they lie.
    return torch.nn.functional.scaled_dot_product_attention(
        query, key, value, attn_mask=None if adds_nothing else bias.to(query.dtype), scale=scale
    )


def _holds(flag):
    """The value of a flag. Keras infers shapes without values, which take the general way."""
    return flag.device.type != "meta" and bool(flag)


def _valid_first(x, mask, go_backwards):
    if mask is None or _holds(mask.all()):
        return (x.flip(1) if go_backwards else x), None
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
