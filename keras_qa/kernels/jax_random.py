"""The bits of `jax.random`, its rounds written out, so that XLA goes over them once."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
from jax import lax


@partial(jax.jit, static_argnames="count")
def threefry(key, count):
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
