"""The kernels written out step by step in `keras.ops`: what the fused ones are tested against.

It is slow, differentiable by whatever differentiates `keras.ops`, and wants a known number of
steps.
"""

import keras
from keras import ops


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
    h, c, outputs = initial_h, initial_c, []
    for t in _steps(x, go_backwards):
        z = _projected(x[:, t], kernel) + ops.matmul(h, recurrent_kernel)
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
    h, outputs = initial_h, []
    for t in _steps(x, go_backwards):
        inputs = _projected(x[:, t], kernel)
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


def look_up(table, ids):
    """See `keras_qa.kernels.look_up`."""
    return ops.take(table, ids, axis=0)


def dropout(inputs, rate, seed):
    """See `keras_qa.kernels.dropout`."""
    return keras.random.dropout(inputs, rate, seed=seed)


def scan(step, state, inputs, draw):
    """See `keras_qa.kernels.scan`."""
    outputs = []
    for n in range(inputs[0].shape[0]):
        state, output = step(state, tuple(x[n] for x in inputs), draw())
        outputs.append(output)
    return state, None if outputs[0] is None else ops.stack(outputs)


def keras_is_fused(kind, mask):
    """See `keras_qa.kernels.keras_is_fused`."""
    return False


def _projected(x, kernel):
    one_hot = not keras.backend.is_float_dtype(keras.backend.standardize_dtype(x.dtype))
    return ops.take(kernel, x, axis=0) if one_hot else ops.matmul(x, kernel)


def _steps(x, go_backwards):
    steps = range(x.shape[1])
    return reversed(steps) if go_backwards else steps


def _hold(mask, t, new, old):
    return new if mask is None else ops.where(mask[:, t, None], new, old)
