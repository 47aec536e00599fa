"""Kernels on TensorFlow: recurrent loops by `tf.while_loop`, with a hand-written gradient.

They are faster than differentiating Keras' loop of cells for three reasons:

- The input projection is one product before the loop.
- The gradients of the weights are one product each after the backward loop.
- The factors of the backward loop depend on the forward pass alone. They are computed for all steps
  at once.

Without XLA, the time of a step depends on its number of operations, so the loops have as few as
possible. Unknown sizes and `jit_compile=True` are supported. The same loops run on a GPU.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_qa.layers.kernels.reference import Layer as Layer
from keras_qa.layers.kernels.reference import dense as dense
from keras_qa.layers.kernels.reference import gelu as gelu
from keras_qa.layers.kernels.reference import scan as scan
from keras_qa.layers.kernels.tensorflow_loops import StepRange, loop, previous

HOLDS_INITIAL_STATE = False

# Loops run in float32: in half precision the state would be rounded at every step.
_HALF = (tf.float16, tf.bfloat16)


# Alignment in bytes that TensorFlow requires (`EIGEN_MAX_ALIGN_BYTES`).
ALIGNMENT = 64


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
    dtype = recurrent_kernel.dtype
    if bias is None:
        bias = tf.zeros(recurrent_kernel.shape[-1], recurrent_kernel.dtype)
    read = StepRange(mask, go_backwards)
    xs = tf.transpose(x, [1, 0, 2])
    xs, *arguments = _widen(xs, initial_h, initial_c, kernel, recurrent_kernel, bias)

    @tf.custom_gradient
    def run(xs, h0, c0, kernel, recurrent, bias):
        *states, saved = _lstm_forward_to_train(xs, read, h0, c0, kernel, recurrent, bias)

        def gradient(d_hs, dh, dc):
            return _lstm_backward(
                xs, read, h0, c0, kernel, recurrent, saved,
                d_hs if return_sequences else None, dh, dc,
            )  # fmt: skip

        return (saved[0] if return_sequences else states[0], *states), gradient

    if training:
        hs, h, c = run(xs, *arguments)
    else:
        (h, c), hs = _lstm_forward(xs, read, *arguments, save_h=return_sequences)
        hs = hs[0] if return_sequences else None
    outputs = tf.cast(read.outputs(hs, h, arguments[0]), dtype) if return_sequences else None
    return outputs, tf.cast(h, dtype), tf.cast(c, dtype) if return_state else None


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
    dtype = recurrent_kernel.dtype
    if bias is None:
        bias = tf.zeros((2, recurrent_kernel.shape[-1]), recurrent_kernel.dtype)
    read = StepRange(mask, go_backwards)
    xs = tf.transpose(x, [1, 0, 2])
    xs, *arguments = _widen(xs, initial_h, kernel, recurrent_kernel, bias)

    @tf.custom_gradient
    def run(xs, h0, kernel, recurrent, bias):
        (h,), saved = _gru_forward(xs, read, h0, kernel, recurrent, bias, saved=4)

        def gradient(d_hs, dh):
            return _gru_backward(
                xs, read, h0, kernel, recurrent, saved, d_hs if return_sequences else None, dh
            )

        return (saved[0] if return_sequences else h, h), gradient

    if training:
        hs, h = run(xs, *arguments)
    else:
        (h,), hs = _gru_forward(xs, read, *arguments, saved=int(return_sequences))
        hs = hs[0] if return_sequences else None
    outputs = tf.cast(read.outputs(hs, h, arguments[0]), dtype) if return_sequences else None
    return outputs, tf.cast(h, dtype)


def look_up(table, ids):
    """See `keras_qa.layers.kernels.look_up`."""
    return tf.gather(table, ids)


def dropout(inputs, rate, seed):
    """See `keras_qa.layers.kernels.dropout`."""
    # TensorFlow's default generator takes half of a training step of a universal transformer under
    # XLA; Philox is faster. Each word of 32 bits gives two numbers of 16 bits.
    count = tf.size(inputs)
    words = tf.random.stateless_uniform(
        [(count + 1) // 2], tf.cast(seed.next(), "int32"), None, None, "uint32", alg="philox"
    )
    drawn = tf.reshape(tf.bitcast(words, "uint16"), [-1])[:count]
    kept = tf.reshape(tf.cast(drawn, "int32") >= round(rate * 2**16), tf.shape(inputs))
    return tf.where(kept, inputs / (1 - rate), tf.zeros_like(inputs))


def attention(query, key, value, bias, scale, drop=None):
    """See `keras_qa.layers.kernels.attention`."""
    # Scale the query, not the scores as Keras does: for long texts it has fewer numbers.
    scores = tf.matmul(query * scale, key, transpose_b=True)
    weights = tf.nn.softmax(tf.cast(scores, "float32") + tf.cast(bias, "float32"))
    weights = tf.cast(weights, value.dtype)
    return tf.matmul(weights if drop is None else drop(weights), value)


def _widen(*tensors):
    # `tf.custom_gradient` takes tensors, not variables.
    values = [tf.convert_to_tensor(t) for t in tensors]
    return [tf.cast(v, tf.float32) if v.dtype in _HALF else v for v in values]


def _weight_gradients(xs, previous_h, kernel, dz, dz_recurrent):
    width = dz.shape[-1]
    d_kernel = tf.matmul(
        tf.reshape(xs, [-1, xs.shape[-1]]), tf.reshape(dz, [-1, width]), transpose_a=True
    )
    d_recurrent = tf.matmul(
        tf.reshape(previous_h, [-1, previous_h.shape[-1]]),
        tf.reshape(dz_recurrent, [-1, width]),
        transpose_a=True,
    )
    return _product(dz, kernel, transpose_b=True), d_kernel, d_recurrent


def _product(a, weight, transpose_b=False):
    """(T, B, N) by (N, M) as one product, not as T batched ones."""
    shape = tf.shape(a)
    flat = tf.matmul(tf.reshape(a, [-1, a.shape[-1]]), weight, transpose_b=transpose_b)
    return tf.reshape(flat, [shape[0], shape[1], weight.shape[0 if transpose_b else 1]])


# --- LSTM ---------------------------------------------------------------------------------------


def _halve(weight):
    """Halves the columns of the sigmoid gates.

    One `tanh` over the whole row then computes all gates: sigmoid(x) = tanh(x / 2) / 2 + 1 / 2.
    """
    units = weight.shape[-1] // 4
    return weight * tf.constant([0.5] * 2 * units + [1.0] * units + [0.5] * units, weight.dtype)


def _sigmoid(tanh_of_half):
    return 0.5 * tanh_of_half + 0.5


def _lstm_forward(xs, read, h0, c0, kernel, recurrent, bias, *, save_h):
    """Returns the last states, and h after every step if `save_h`."""
    units = recurrent.shape[0]
    steps = _product(xs, _halve(kernel))
    recurrent, bias = _halve(recurrent), _halve(bias)

    def step(states, now):
        h, c = states
        tanhs = tf.tanh(now[0] + (tf.matmul(h, recurrent) + bias))
        i, f, g, o = tf.split(tanhs, 4, axis=-1)
        new_c = _sigmoid(f) * c + _sigmoid(i) * g
        new_h = _sigmoid(o) * tf.tanh(new_c)
        if read.mask is not None:
            new_h, new_c = tf.where(now[1], new_h, h), tf.where(now[1], new_c, c)
        return [new_h, new_c], [new_h][: int(save_h)]

    widths = [units][: int(save_h)]
    return loop(step, [h0, c0], read.inputs(steps), widths, read, read.go_backwards)


def _lstm_forward_to_train(xs, read, h0, c0, kernel, recurrent, bias):
    """Returns the last h and c; and h, c, the tanh of the gates and tanh(c) after every step.

    XLA runs a loop of at most eight operations in one thread. For a longer one it wakes a second
    thread twice in each step, which may take as long as the step. To stay below, a step computes
    the previous h from the saved gates and c instead of saving h.
    """
    units = recurrent.shape[0]
    steps = _product(xs, _halve(kernel))
    recurrent, bias = _halve(recurrent), _halve(bias)
    if read.mask is None:
        has_begun = tf.fill([tf.shape(steps)[0], 1, 1], True)
    else:
        has_begun = tf.cumsum(tf.cast(read.mask, tf.int32), reverse=read.go_backwards) > 0
    had_begun = previous(has_begun, tf.zeros_like(has_begun[0]), read.go_backwards)

    def step(states, now):
        tanhs, c = states
        h = tf.where(now[1], _sigmoid(tanhs[:, 3 * units :]) * tf.tanh(c), h0)
        new_tanhs = tf.tanh(now[0] + (tf.matmul(h, recurrent) + bias))
        i, f, g, _ = tf.split(new_tanhs, 4, axis=-1)
        new_c = _sigmoid(f) * c + _sigmoid(i) * g
        if read.mask is not None:
            new_tanhs, new_c = tf.where(now[2], new_tanhs, tanhs), tf.where(now[2], new_c, c)
        return [new_tanhs, new_c], [new_c, new_tanhs]

    (last, c), (cs, tanhs) = loop(
        step,
        [tf.zeros_like(steps[0]), c0],
        read.inputs(steps, had_begun),
        [units, 4 * units],
        read,
        read.go_backwards,
    )
    cs = read.hold(cs, c, c0)
    tanh_c = tf.tanh(cs)
    hs = tf.where(has_begun, _sigmoid(tanhs[..., 3 * units :]) * tanh_c, h0)
    ever_begun = has_begun[0 if read.go_backwards else -1]
    h = tf.where(ever_begun, _sigmoid(last[:, 3 * units :]) * tf.tanh(c), h0)
    return h, c, (read.hold(hs, h, h0), cs, tanhs, tanh_c)


def _lstm_backward(xs, read, h0, c0, kernel, recurrent, saved, d_hs, dh, dc):
    mask, go_backwards = read.mask, read.go_backwards
    hs, cs, tanhs, tanh_c = saved
    i, f, g, o = tf.split(tanhs, 4, axis=-1)
    i, f, o = _sigmoid(i), _sigmoid(f), _sigmoid(o)
    # Derivatives by the pre-activations: of c for input, forget, candidate; of h for output.
    into_gates = [
        g * i * (1 - i),
        previous(cs, c0, go_backwards) * f * (1 - f),
        i * (1 - g * g),
        tanh_c * o * (1 - o),
    ]
    into_c = o * (1 - tanh_c * tanh_c)
    if mask is not None:
        keep = tf.cast(mask, xs.dtype)
        into_gates, into_c = [part * keep for part in into_gates], into_c * keep
        f = tf.where(mask, f, tf.ones_like(f))
    # The gradient of c reaches a step through the forget gate of the next one.
    f_after = previous(f, tf.ones_like(f[0]), not go_backwards)
    inputs = read.inputs(tf.concat(into_gates, axis=-1), into_c, f_after)
    if d_hs is not None:
        inputs.append(d_hs)

    # At most eight XLA operations without `return_sequences`, as in the forward pass.
    def step(states, now):
        dh, dc = states
        if d_hs is not None:
            dh = dh + now[-1]
        dc = dc * now[2] + dh * now[1]
        dz = tf.concat([dc, dc, dc, dh], axis=-1) * now[0]
        previous_dh = tf.matmul(dz, recurrent, transpose_b=True)
        if mask is not None:
            previous_dh = tf.where(now[3], previous_dh, dh)
        return [previous_dh, dc], [dz]

    (dh0, dc), (dz,) = loop(step, [dh, dc], inputs, [kernel.shape[1]], read, not go_backwards)
    previous_h = previous(hs, h0, go_backwards)
    dx, d_kernel, d_recurrent = _weight_gradients(xs, previous_h, kernel, dz, dz)
    return dx, dh0, dc * read.first(f), d_kernel, d_recurrent, tf.reduce_sum(dz, [0, 1])


# --- GRU ----------------------------------------------------------------------------------------


def _gru_forward(xs, read, h0, kernel, recurrent, bias, *, saved):
    """Returns the last state, and the first `saved` of h, gates, candidate, h_h of every step."""
    units = recurrent.shape[0]
    steps = _product(xs, kernel) + bias[0]

    def step(states, now):
        (h,) = states
        inner = tf.matmul(h, recurrent) + bias[1]
        x_t = now[0]
        gates = tf.sigmoid(x_t[:, : 2 * units] + inner[:, : 2 * units])
        z, r = tf.split(gates, 2, axis=-1)
        h_h = inner[:, 2 * units :]
        candidate = tf.tanh(x_t[:, 2 * units :] + r * h_h)
        new_h = candidate + z * (h - candidate)
        if read.mask is not None:
            new_h = tf.where(now[1], new_h, h)
        return [new_h], [new_h, gates, candidate, h_h][:saved]

    widths = [units, 2 * units, units, units][:saved]
    (h,), saved_steps = loop(step, [h0], read.inputs(steps), widths, read, read.go_backwards)
    return (h,), [read.hold(hs, h, h0) for hs in saved_steps[:1]] + saved_steps[1:]


def _gru_backward(xs, read, h0, kernel, recurrent, saved, d_hs, dh):
    mask, go_backwards = read.mask, read.go_backwards
    hs, gates, candidate, h_h = saved
    z, r = tf.split(gates, 2, axis=-1)
    previous_h = previous(hs, h0, go_backwards)
    into_z = (previous_h - candidate) * z * (1 - z)
    into_h = (1 - z) * (1 - candidate * candidate)
    carry = z
    if mask is not None:
        keep = tf.cast(mask, xs.dtype)
        into_z, into_h = into_z * keep, into_h * keep
        carry = tf.where(mask, z, tf.ones_like(z))
    into_gates = tf.concat([into_z, into_h * h_h * r * (1 - r), into_h * r], axis=-1)
    inputs = [into_gates, carry]
    if d_hs is not None:
        inputs.append(d_hs)

    def step(states, now):
        (dh,) = states
        if d_hs is not None:
            dh = dh + now[2]
        dz = tf.concat([dh, dh, dh], axis=-1) * now[0]
        return [tf.matmul(dz, recurrent, transpose_b=True) + dh * now[1]], [dz, dh]

    units = recurrent.shape[0]
    (dh0,), (dz_recurrent, dhs) = loop(
        step, [dh], inputs, [3 * units, units], read, not go_backwards
    )
    # The gradients of the two products differ only for the candidate, which the reset gate scales.
    dz = tf.concat([dz_recurrent[..., : 2 * units], dhs * into_h], axis=-1)
    dx, d_kernel, d_recurrent = _weight_gradients(xs, previous_h, kernel, dz, dz_recurrent)
    d_bias = tf.stack([tf.reduce_sum(dz, [0, 1]), tf.reduce_sum(dz_recurrent, [0, 1])])
    return dx, dh0, d_kernel, d_recurrent, d_bias


def zeros(shape: Sequence[int], dtype: Any = None) -> Any:
    """Zeros in memory of NumPy, which is free once they are replaced.

    TensorFlow's allocator would keep the memory of its own tensors.
    """
    if keras.backend.standardize_dtype(dtype) != "float32":
        return keras.ops.zeros(shape, dtype)
    # TensorFlow's operations abort the process if memory is not aligned.
    memory = np.zeros(4 * math.prod(shape) + ALIGNMENT, "uint8")
    array = np.ndarray(tuple(shape), "float32", memory, -memory.ctypes.data % ALIGNMENT)
    return tf.experimental.dlpack.from_dlpack(array.__dlpack__())
