"""Loops of the kernels on JAX over chunks of steps."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
from jax import lax

# Preferred number of steps in a chunk. Of the sizes nearby, the one that needs the least padding is
# chosen.
CHUNK = 20
_CHUNK = range(CHUNK - 5, CHUNK + 6)


class Chunks:
    """The inputs of a call with the time axis first, padded to whole chunks.

    Attributes:
        settings: Static settings: `(go_backwards, return_sequences, steps of a chunk)`.
        arrays: The number of chunks to read, the mask (T, B, 1) or `None`, and `x` (T, B, F).
    """

    def __init__(self, x, mask, go_backwards, return_sequences, early):
        self.steps = x.shape[1]
        if mask is None and not self.steps:
            mask = jnp.zeros(x.shape[:2], bool)
        size = self.steps
        if early and mask is not None:
            size = min(size, *_CHUNK, key=lambda size: (-self.steps % size, abs(size - CHUNK)))
        self.size = max(1, size)
        rest = [(0, -self.steps % self.size if self.steps else 1), (0, 0)]
        x = jnp.swapaxes(x, 0, 1)
        x = jnp.pad(x, [*rest, (0, 0)])
        used = len(x) // self.size
        if mask is not None:
            mask = jnp.pad(mask.T, rest)
            if used > 1:
                last = jnp.max(jnp.where(mask.any(1), jnp.arange(1, len(x) + 1), 0))
                used = (last + self.size - 1) // self.size
            mask = mask[..., None]
        self.settings = go_backwards, return_sequences, self.size
        self.arrays = used, mask, x

    def outputs(self, hs, last, initial):
        """States (T, B, U) to outputs (B, T, U), in the order of computation."""
        go_backwards = self.settings[0]
        read = (jnp.arange(len(hs)) < self.arrays[0] * self.size)[:, None, None]
        # Skipped steps are at the end: computed last, or first if backwards.
        hs = jnp.where(read, hs, initial if go_backwards else last)[: self.steps]
        return jnp.swapaxes(hs[::-1] if go_backwards else hs, 0, 1)


def loop_over_steps(step, prepare, state, arrays, used, size, backwards):
    """Runs `state, saved = step(state, now)` for each step of the prepared chunks.

    Returns the last state and `saved` of all steps, zeros for skipped ones.
    """

    def body(n, carried):
        start = size * (used - 1 - n if backwards else n)
        chunk = prepare(_parts(arrays, start, size))

        def body_of_step(n, carried):
            state, stores = carried
            within = size - 1 - n if backwards else n
            state, saved = step(state, jax.tree.map(lambda a: a[within], chunk))
            # Stored directly: an array for each chunk would be copied.
            put = partial(lax.dynamic_update_index_in_dim, index=start + within, axis=0)
            return state, jax.tree.map(put, stores, saved)

        return lax.fori_loop(0, size, body_of_step, carried)

    def first(state, arrays):
        return step(state, jax.tree.map(lambda a: a[0], prepare(_parts(arrays, 0, size))))

    _, saved = jax.eval_shape(first, state, arrays)
    steps = len(jax.tree.leaves(arrays)[0])
    stores = jax.tree.map(lambda a: jnp.zeros((steps, *a.shape), a.dtype), saved)
    return lax.fori_loop(0, used, body, (state, stores))


def loop_over_chunks(run, state, arrays, used, size, backwards):
    """Runs `state, saved = run(state, parts)` for each chunk of the arrays.

    Returns the last state and `saved` of all steps, zeros for skipped ones.
    """

    def body(n, carried):
        state, stores = carried
        start = size * (used - 1 - n if backwards else n)
        state, saved = run(state, _parts(arrays, start, size))
        put = partial(lax.dynamic_update_slice_in_dim, start_index=start, axis=0)
        return state, jax.tree.map(put, stores, saved)

    _, saved = jax.eval_shape(lambda state, a: run(state, _parts(a, 0, size)), state, arrays)
    steps = len(jax.tree.leaves(arrays)[0])
    stores = jax.tree.map(lambda a: jnp.zeros((steps, *a.shape[1:]), a.dtype), saved)
    return lax.fori_loop(0, used, body, (state, stores))


def _parts(arrays, start, size):
    return jax.tree.map(lambda a: lax.dynamic_slice_in_dim(a, start, size), arrays)
