"""LSTM and GRU on JAX: `lax.scan` with a hand-written gradient.

Two levers over differentiating a scan of cells: the input projection is one product before the
loop, and the gradients of the weights are one product each after the backward loop. What the
backward loop multiplies the incoming gradient with depends on the forward pass alone, so it is
computed for all steps at once; a step of the backward loop is then one small product.

On a GPU an LSTM is cuDNN's, with the lengths of the rows, by `jax.experimental.rnn`; JAX has no
such call for a GRU, which takes the same path there as on a CPU. Neither has been run on a GPU yet:
the tests put JAX' own reference in the place of that call.
"""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from keras_qa.kernels import _reference, right_padding

# What Keras' own loop gives on this backend for masked steps before the first valid one:
# the initial state if true, else zeros.
HOLDS_INITIAL_STATE = True

# A half-precision loop rounds its state at every step; the state and the gates stay in float32.
_HALF = (jnp.float16, jnp.bfloat16)


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
    dtype = recurrent_kernel.dtype
    if bias is None:
        bias = jnp.zeros(recurrent_kernel.shape[-1], recurrent_kernel.dtype)
    arguments = _widen(x, initial_h, initial_c, kernel, recurrent_kernel, bias)
    # cuDNN's call by JAX is for float32 alone.
    by_cudnn = _is_gpu() and arguments[0].dtype == jnp.float32
    run = _lstm_by_cudnn if by_cudnn else _lstm_by_scan
    outputs, h, c = run(go_backwards, return_sequences, mask, *arguments)
    outputs = outputs.astype(dtype) if return_sequences else None
    return outputs, h.astype(dtype), c.astype(dtype) if return_state else None


@partial(jax.jit, static_argnames=("go_backwards", "return_sequences", "training"))
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
    dtype = recurrent_kernel.dtype
    if bias is None:
        bias = jnp.zeros((2, recurrent_kernel.shape[-1]), recurrent_kernel.dtype)
    arguments = _widen(x, initial_h, kernel, recurrent_kernel, bias)
    settings = (go_backwards, return_sequences, _time_major(mask))
    if jnp.issubdtype(x.dtype, jnp.integer):
        (outputs, h), _ = _gru_forward(*settings, *arguments, save=False)
    else:
        outputs, h = _gru(*settings, *arguments)
    outputs = jnp.swapaxes(outputs, 0, 1).astype(dtype) if return_sequences else None
    return outputs, h.astype(dtype)


def look_up(table, ids):
    """See `keras_qa.kernels.look_up`."""
    return jnp.take(table, ids, axis=0)


def dropout(inputs, rate, seed):
    """See `keras_qa.kernels.dropout`."""
    if jax.default_backend() != "cpu":
        return _reference.dropout(inputs, rate, seed)
    # The numbers are those of `jax.random`, which on a CPU goes five times over all of them in
    # memory, and takes as long as a quarter of the products of a universal transformer.
    drawn = _threefry(seed.next(ordered=False), inputs.size).reshape(inputs.shape)
    # As `jax.random.bernoulli`, which compares 23 bits.
    kept = drawn >> 9 < math.ceil(np.float32(1 - rate) * 2**23)
    return jnp.where(kept, inputs / (1 - rate), jnp.zeros_like(inputs))


@partial(jax.jit, static_argnames="count")
def _threefry(key, count):
    """The bits of `jax.random.bits` (Salmon et al. 2011, doi:10.1145/2063384.2063405)."""
    keys = (key[0], key[1], key[0] ^ key[1] ^ jnp.uint32(0x1BD11BDA))
    # There are fewer than 2**32 numbers, so that one half of their places is zero.
    x, y = jnp.zeros(count, "uint32") + keys[0], lax.iota("uint32", count) + keys[1]
    for turn in range(5):
        for rotation in ((13, 15, 26, 6), (17, 29, 16, 24))[turn % 2]:
            x = x + y
            y = x ^ (y << rotation | y >> 32 - rotation)
        x = x + keys[(turn + 1) % 3]
        y = y + keys[(turn + 2) % 3] + jnp.uint32(turn + 1)
    return x ^ y


def scan(step, state, inputs, draw):
    """See `keras_qa.kernels.scan`."""
    # Outside of a program, each call would compile the loop again.
    if not isinstance(state[0], jax.core.Tracer):
        return _reference.scan(step, state, inputs, draw)
    draws = [draw() for _ in range(inputs[0].shape[0])]
    drawn = None if draws[0] is None else jnp.stack(draws)
    # Of steps written out one after the other XLA makes ever longer chains, each of which the
    # backward pass computes several times over.
    return lax.scan(lambda state, parts: step(state, *parts), state, (inputs, drawn))


def takes_ids():
    """See `keras_qa.kernels.takes_ids`."""
    return not _is_gpu()


def keras_is_fused():
    """See `keras_qa.kernels.keras_is_fused`."""
    return False


def _is_gpu():
    config: Any = jax.config  # It gets its attributes as the program runs.
    device = config.jax_default_device
    return (getattr(device, "platform", device) or jax.default_backend()) in ("gpu", "cuda")


def _widen(*arrays):
    return [a.astype(jnp.float32) if a.dtype in _HALF else a for a in arrays]


def _time_major(mask):
    return None if mask is None else jnp.swapaxes(mask, 0, 1)[..., None]


def _halve(weight, gates):
    """Halves the columns of the sigmoid gates: sigmoid(x) = tanh(x / 2) / 2 + 1 / 2, so one `tanh`
    over the whole row serves all gates. `gates` has "s" for a sigmoid gate, "t" for a tanh."""
    units = weight.shape[-1] // len(gates)
    scale = [0.5 if gate == "s" else 1.0 for gate in gates for _ in range(units)]
    return weight * jnp.array(scale, weight.dtype)


def _projected(x, kernel, bias, gates):
    """The halved projection of every step, of vectors or of ids of a table of projections."""
    if jnp.issubdtype(x.dtype, jnp.integer):
        # Not inside the loop: there XLA shares a lookup out to two threads at every step.
        return _halve(kernel.at[x].get(mode="clip") + bias, gates)
    return x @ _halve(kernel, gates) + _halve(bias, gates)


def _sigmoid(tanh_of_half):
    return 0.5 * tanh_of_half + 0.5


def _in_order(outputs, go_backwards):
    # Keras returns the outputs in the order in which they were computed.
    return outputs[::-1] if go_backwards else outputs


def _previous(states, initial, go_backwards):
    """The state before each step, from the state after each step."""
    if go_backwards:
        return jnp.concatenate([states[1:], initial[None]])
    return jnp.concatenate([initial[None], states[:-1]])


# --- LSTM ---------------------------------------------------------------------------------------


@partial(jax.jit, static_argnums=(0, 1))
def _lstm_by_cudnn(go_backwards, return_sequences, mask, x, h0, c0, kernel, recurrent, bias):
    # Imported here: few need it, and it is experimental.
    from jax.experimental import rnn

    if mask is None:
        mask = jnp.ones(x.shape[:2], bool)
    if go_backwards:
        x, mask = jnp.flip(x, 1), jnp.flip(mask, 1)
    lengths: Any  # Of JAX, which knows its own arrays alone.
    x, lengths = right_padding.moved(x, mask)
    weights = [kernel.T.ravel(), recurrent.T.ravel(), bias, jnp.zeros_like(bias)]
    outputs, h, c = rnn.lstm(
        x, h0[None], c0[None], jnp.concatenate(weights), jnp.maximum(lengths, 1),
        kernel.shape[0], recurrent.shape[0], 1, 0.0, False,
    )  # fmt: skip
    has_begun = lengths[:, None] > 0
    h, c = jnp.where(has_begun, h[0], h0), jnp.where(has_begun, c[0], c0)
    return right_padding.held(outputs, mask, h0) if return_sequences else None, h, c


# Compiled here as well: outside a compiled program JAX would compile a scan anew at every call.
@partial(jax.jit, static_argnums=(0, 1))
def _lstm_by_scan(go_backwards, return_sequences, mask, x, *arguments):
    settings = (go_backwards, return_sequences, _time_major(mask))
    if jnp.issubdtype(x.dtype, jnp.integer):
        (outputs, h, c), _ = _lstm_forward(*settings, x, *arguments, save=False)
    else:
        outputs, h, c = _lstm(*settings, x, *arguments)
    return jnp.swapaxes(outputs, 0, 1) if return_sequences else None, h, c


@partial(jax.custom_vjp, nondiff_argnums=(0, 1))
def _lstm(go_backwards, return_sequences, mask, x, h0, c0, kernel, recurrent, bias):
    result, _ = _lstm_forward(
        go_backwards, return_sequences, mask, x, h0, c0, kernel, recurrent, bias, save=False
    )
    return result


def _lstm_forward(
    go_backwards, return_sequences, mask, x, h0, c0, kernel, recurrent, bias, *, save=True
):
    x = jnp.swapaxes(x, 0, 1)
    steps = _projected(x, kernel, bias, "ssts")
    halved = _halve(recurrent, "ssts")

    def step(state, now):
        h, c = state
        z, m = now
        gates = jnp.tanh(z + h @ halved)
        i, f, g, o = jnp.split(gates, 4, axis=-1)
        # Without the barrier XLA computes the cell twice, in the fusions of c and of h.
        new_c = lax.optimization_barrier(_sigmoid(f) * c + _sigmoid(i) * g)
        new_h = _sigmoid(o) * jnp.tanh(new_c)
        if m is not None:
            new_h, new_c = jnp.where(m, new_h, h), jnp.where(m, new_c, c)
        saved = (new_h, new_c, gates) if save else new_h if return_sequences else None
        return (new_h, new_c), saved

    (h, c), saved = lax.scan(step, (h0, c0), (steps, mask), reverse=go_backwards)
    outputs = None
    if return_sequences:
        outputs = _in_order(saved[0] if save else saved, go_backwards)
    residuals = (mask, x, h0, c0, kernel, recurrent, saved) if save else None
    return (outputs, h, c), residuals


def _lstm_backward(go_backwards, return_sequences, residuals, gradients):
    mask, x, h0, c0, kernel, recurrent, (hs, cs, gates) = residuals
    d_outputs, dh, dc = gradients
    i, f, g, o = jnp.split(gates, 4, axis=-1)
    i, f, o = _sigmoid(i), _sigmoid(f), _sigmoid(o)
    tanh_c = jnp.tanh(cs)
    # What each pre-activation passes on of dc (input, forget, candidate) or of dh (output).
    into_gates = jnp.concatenate(
        [
            g * i * (1 - i),
            _previous(cs, c0, go_backwards) * f * (1 - f),
            i * (1 - g * g),
            tanh_c * o * (1 - o),
        ],
        axis=-1,
    )
    into_c = o * (1 - tanh_c * tanh_c)
    if mask is not None:
        into_gates, into_c = jnp.where(mask, into_gates, 0), jnp.where(mask, into_c, 0)
        f = jnp.where(mask, f, 1)
    if d_outputs is not None:
        d_outputs = _in_order(d_outputs, go_backwards)

    def step(state, now):
        dh, dc = state
        d_output, into_gates, into_c, f, m = now
        if d_output is not None:
            dh = dh + d_output
        dc = lax.optimization_barrier(dc + dh * into_c)
        dz = jnp.concatenate([dc, dc, dc, dh], axis=-1) * into_gates
        previous_dh = dz @ recurrent.T
        if m is not None:
            previous_dh = jnp.where(m, previous_dh, dh)
        return (previous_dh, dc * f), dz

    (dh0, dc0), dz = lax.scan(
        step, (dh, dc), (d_outputs, into_gates, into_c, f, mask), reverse=not go_backwards
    )
    dx, d_kernel, d_recurrent, d_bias = _weight_gradients(
        x, _previous(hs, h0, go_backwards), kernel, dz, dz
    )
    return None, dx, dh0, dc0, d_kernel, d_recurrent, d_bias


def _weight_gradients(x, previous_h, kernel, dz, dz_recurrent):
    flat = (-1, dz.shape[-1])
    d_kernel = x.reshape(-1, x.shape[-1]).T @ dz.reshape(flat)
    d_recurrent = previous_h.reshape(-1, previous_h.shape[-1]).T @ dz_recurrent.reshape(flat)
    dx = jnp.swapaxes(dz @ kernel.T, 0, 1)
    return dx, d_kernel, d_recurrent, dz.sum((0, 1))


_lstm.defvjp(_lstm_forward, _lstm_backward)


# --- GRU ----------------------------------------------------------------------------------------


@partial(jax.custom_vjp, nondiff_argnums=(0, 1))
def _gru(go_backwards, return_sequences, mask, x, h0, kernel, recurrent, bias):
    result, _ = _gru_forward(
        go_backwards, return_sequences, mask, x, h0, kernel, recurrent, bias, save=False
    )
    return result


def _gru_forward(
    go_backwards, return_sequences, mask, x, h0, kernel, recurrent, bias, *, save=True
):
    x = jnp.swapaxes(x, 0, 1)
    steps = _projected(x, kernel, bias[0], "sst")
    halved, inner_bias = _halve(recurrent, "sst"), _halve(bias[1], "sst")
    units = h0.shape[-1]

    def step(h, now):
        x_t, m = now
        inner = h @ halved + inner_bias
        gates = _sigmoid(jnp.tanh(x_t[:, : 2 * units] + inner[:, : 2 * units]))
        z, r = jnp.split(lax.optimization_barrier(gates), 2, axis=-1)
        h_h = inner[:, 2 * units :]
        candidate = lax.optimization_barrier(jnp.tanh(x_t[:, 2 * units :] + r * h_h))
        new_h = z * h + (1 - z) * candidate
        if m is not None:
            new_h = jnp.where(m, new_h, h)
        saved = (new_h, gates, candidate, h_h) if save else new_h if return_sequences else None
        return new_h, saved

    h, saved = lax.scan(step, h0, (steps, mask), reverse=go_backwards)
    outputs = None
    if return_sequences:
        outputs = _in_order(saved[0] if save else saved, go_backwards)
    residuals = (mask, x, h0, kernel, recurrent, saved) if save else None
    return (outputs, h), residuals


def _gru_backward(go_backwards, return_sequences, residuals, gradients):
    mask, x, h0, kernel, recurrent, (hs, gates, candidate, h_h) = residuals
    d_outputs, dh = gradients
    z, r = jnp.split(gates, 2, axis=-1)
    previous_h = _previous(hs, h0, go_backwards)
    # What each pre-activation passes on of dh; the candidate's recurrent part goes by the reset
    # gate, so that the two products differ in it.
    into_z = (previous_h - candidate) * z * (1 - z)
    into_h = (1 - z) * (1 - candidate * candidate)
    if mask is not None:
        into_z, into_h = jnp.where(mask, into_z, 0), jnp.where(mask, into_h, 0)
        z = jnp.where(mask, z, 1)
    into_gates = jnp.concatenate([into_z, into_h * h_h * r * (1 - r), into_h * r], axis=-1)
    if d_outputs is not None:
        d_outputs = _in_order(d_outputs, go_backwards)

    def step(dh, now):
        d_output, into_gates, z = now
        if d_output is not None:
            dh = dh + d_output
        dz = jnp.concatenate([dh, dh, dh], axis=-1) * into_gates
        return dz @ recurrent.T + dh * z, (dz, dh)

    dh0, (dz_recurrent, dhs) = lax.scan(
        step, dh, (d_outputs, into_gates, z), reverse=not go_backwards
    )
    units = h0.shape[-1]
    dz = jnp.concatenate([dz_recurrent[..., : 2 * units], dhs * into_h], axis=-1)
    dx, d_kernel, d_recurrent, d_bias = _weight_gradients(x, previous_h, kernel, dz, dz_recurrent)
    d_bias = jnp.stack([d_bias, dz_recurrent.sum((0, 1))])
    return None, dx, dh0, d_kernel, d_recurrent, d_bias


_gru.defvjp(_gru_forward, _gru_backward)
