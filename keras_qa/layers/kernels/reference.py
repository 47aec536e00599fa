"""The reference kernels in `keras.ops`: what the kernels of the backends are tested against.

They are slow, need a known number of steps, and support every transformation that `keras.ops`
support.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import keras
from keras import ops

from keras_qa.layers.kernels.tensor_types import Tensor

HOLDS_INITIAL_STATE = True

zeros = ops.zeros


class Layer(keras.layers.Layer):
    """The base class of our layers. It adds nothing to that of Keras."""


def lstm(
    x: Tensor,
    mask: Tensor | None,
    initial_h: Tensor,
    initial_c: Tensor,
    kernel: Tensor,
    recurrent_kernel: Tensor,
    bias: Tensor | None,
    *,
    go_backwards: bool = False,
    return_sequences: bool = False,
    return_state: bool = False,
    training: bool = True,
) -> tuple[Tensor | None, Tensor, Tensor | None]:
    """See `keras_qa.layers.kernels.lstm`."""
    h, c, outputs = initial_h, initial_c, []
    for t in _steps(x, go_backwards):
        z = ops.matmul(x[:, t], kernel) + ops.matmul(h, recurrent_kernel)
        if bias is not None:
            z = z + bias
        i, f, g, o = ops.split(z, 4, axis=-1)
        new_c = ops.sigmoid(f) * c + ops.sigmoid(i) * ops.tanh(g)
        new_h = ops.sigmoid(o) * ops.tanh(new_c)
        h, c = _hold(mask, t, new_h, h), _hold(mask, t, new_c, c)
        outputs.append(h)
    stacked = ops.stack(outputs, axis=1) if return_sequences else None
    return stacked, h, c if return_state else None


def gru(
    x: Tensor,
    mask: Tensor | None,
    initial_h: Tensor,
    kernel: Tensor,
    recurrent_kernel: Tensor,
    bias: Tensor | None,
    *,
    go_backwards: bool = False,
    return_sequences: bool = False,
    training: bool = True,
) -> tuple[Tensor | None, Tensor]:
    """See `keras_qa.layers.kernels.gru`."""
    h, outputs = initial_h, []
    for t in _steps(x, go_backwards):
        inputs = ops.matmul(x[:, t], kernel)
        states = ops.matmul(h, recurrent_kernel)
        if bias is not None:
            inputs, states = inputs + bias[0], states + bias[1]
        x_z, x_r, x_h = ops.split(inputs, 3, axis=-1)
        h_z, h_r, h_h = ops.split(states, 3, axis=-1)
        z, r = ops.sigmoid(x_z + h_z), ops.sigmoid(x_r + h_r)
        new_h = z * h + (1 - z) * ops.tanh(x_h + r * h_h)
        h = _hold(mask, t, new_h, h)
        outputs.append(h)
    return ops.stack(outputs, axis=1) if return_sequences else None, h


def look_up(table: Tensor, ids: Tensor) -> Tensor:
    """See `keras_qa.layers.kernels.look_up`."""
    return ops.take(table, ids, axis=0)


def dropout(inputs: Tensor, rate: float, seed: keras.random.SeedGenerator) -> Tensor:
    """See `keras_qa.layers.kernels.dropout`."""
    return keras.random.dropout(inputs, rate, seed=seed)


def scan(
    step: Callable[[Tensor, Tensor, Tensor | None], tuple[Tensor, Tensor | None]],
    state: Tensor,
    inputs: Tensor,
    draw: Callable[[], Tensor | None],
) -> tuple[Tensor, Tensor | None]:
    """See `keras_qa.layers.kernels.scan`."""
    outputs = []
    for n in range(inputs.shape[0]):
        state, output = step(state, inputs[n], draw())
        outputs.append(output)
    return state, None if outputs[0] is None else ops.stack(outputs)


def attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    bias: Tensor,
    scale: float,
    drop: Callable[[Tensor], Tensor] | None = None,
) -> Tensor:
    """See `keras_qa.layers.kernels.attention`."""
    if drop is None:
        turned = (ops.transpose(x, (0, 2, 1, 3)) for x in (query, key, value))
        attended = ops.dot_product_attention(*turned, bias=bias, scale=scale)
        return ops.transpose(attended, (0, 2, 1, 3))
    scores = ops.matmul(query * scale, ops.swapaxes(key, 2, 3))
    weights = ops.softmax(ops.cast(scores, "float32") + ops.cast(bias, "float32"))
    return ops.matmul(drop(ops.cast(weights, value.dtype)), value)


def dense(inputs: Tensor, kernel: Tensor, bias: Tensor | None) -> Tensor:
    """See `keras_qa.layers.kernels.dense`."""
    outputs = ops.matmul(inputs, kernel)
    return outputs if bias is None else ops.add(outputs, bias)


def gelu(inputs: Tensor) -> Tensor:
    """See `keras_qa.layers.kernels.gelu`."""
    # Keras 3.15.1 uses `erfc`, which takes twice as long.
    dtype = keras.backend.standardize_dtype(inputs.dtype)
    x = ops.cast(inputs, keras.backend.result_type(dtype, "float32"))
    return ops.cast(0.5 * x * (1.0 + ops.erf(x * 0.5**0.5)), dtype)


def _steps(x: Tensor, go_backwards: bool) -> Iterable[int]:
    steps = range(x.shape[1])
    return reversed(steps) if go_backwards else steps


def _hold(mask: Tensor | None, t: int, new: Tensor, old: Tensor) -> Tensor:
    return new if mask is None else ops.where(mask[:, t, None], new, old)
