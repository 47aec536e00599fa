"""Operations of transformers on JAX: dropout, a scan over steps, attention."""

from __future__ import annotations

import math
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from keras_qa.layers.kernels import reference


def dropout(inputs, rate, seed):
    """See `keras_qa.layers.kernels.dropout`."""
    if jax.default_backend() != "cpu":
        return reference.dropout(inputs, rate, seed)
    # `jax.random` draws the same numbers, but reads and writes them five times on a CPU. That takes
    # a quarter of the time of the products of a universal transformer.
    drawn = _threefry(seed.next(ordered=False), inputs.size).reshape(inputs.shape)
    # `jax.random.bernoulli` compares 23 bits.
    kept = drawn >> 9 < math.ceil(np.float32(1 - rate) * 2**23)
    return jnp.where(kept, inputs / (1 - rate), jnp.zeros_like(inputs))


@partial(jax.jit, static_argnames="count")
def _threefry(key, count):
    """The bits of `jax.random.bits` (Salmon et al. 2011, doi:10.1145/2063384.2063405), unrolled."""
    keys = (key[0], key[1], key[0] ^ key[1] ^ jnp.uint32(0x1BD11BDA))
    # The counter has two words; the first is zero for fewer than 2**32 numbers.
    x, y = jnp.zeros(count, "uint32") + keys[0], lax.iota("uint32", count) + keys[1]
    for turn in range(5):
        for rotation in ((13, 15, 26, 6), (17, 29, 16, 24))[turn % 2]:
            x = x + y
            y = x ^ (y << rotation | y >> 32 - rotation)
        x = x + keys[(turn + 1) % 3]
        y = y + keys[(turn + 2) % 3] + jnp.uint32(turn + 1)
    return x ^ y


def scan(step, state, inputs, draw):
    """See `keras_qa.layers.kernels.scan`."""
    # Outside a compiled program, `lax.scan` would compile the loop again at each call.
    if not isinstance(state, jax.core.Tracer):
        return reference.scan(step, state, inputs, draw)
    draws = [draw() for _ in range(inputs.shape[0])]
    drawn = None if draws[0] is None else jnp.stack(draws)
    # Not unrolled: XLA fuses unrolled steps into long chains, which the backward pass computes
    # several times.
    return lax.scan(lambda state, parts: step(state, *parts), state, (inputs, drawn))


def attention(query, key, value, bias, scale, drop=None):
    """See `keras_qa.layers.kernels.attention`."""
    if jax.default_backend() != "cpu":
        return reference.attention(query, key, value, bias, scale, drop)
    # Without barriers XLA moves the axis of heads, and its products on a CPU are then several times
    # slower.
    query, key, value = lax.optimization_barrier((query, key.swapaxes(2, 3), value))
    wide = jnp.promote_types(query.dtype, jnp.float32)
    scores = jnp.matmul(query * scale, key, preferred_element_type=wide)
    weights = jax.nn.softmax(lax.optimization_barrier(scores) + bias.astype(wide))
    weights = weights.astype(value.dtype)
    weights = weights if drop is None else drop(weights)
    return lax.optimization_barrier(weights @ value)
