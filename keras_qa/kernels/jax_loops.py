"""How the kernels on JAX cut the steps of a call into chunks, and loop over them."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
from jax import lax

# Steps that are read between two looks at whether all rows have ended: about so many, and no more
# of them past the last than need be.
CHUNK = 20
_CHUNK = range(CHUNK - 5, CHUNK + 6)


class Chunks:
    """The steps of a call, first axis first, and how they are cut into chunks.

    Attributes:
        settings: What a program hangs on: `(go_backwards, return_sequences, steps a chunk)`.
        arrays: How many chunks are read, the mask (T, B, 1) or `None`, and the steps (T, B, ...).
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
        x = jnp.pad(x, rest + [(0, 0)] * (x.ndim - 2))
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
        """The states (T, B, U) of all steps as (B, T, U), in the order of computation."""
        go_backwards = self.settings[0]
        read = (jnp.arange(len(hs)) < self.arrays[0] * self.size)[:, None, None]
        # Steps that are not read come last; backwards, they come first.
        hs = jnp.where(read, hs, initial if go_backwards else last)[: self.steps]
        return jnp.swapaxes(hs[::-1] if go_backwards else hs, 0, 1)


def over_steps(step, prepare, state, arrays, used, size, backwards):
    """Runs `state, saved = step(state, now)` for each step, with what `prepare` makes of a chunk.

    Returns the last state, and what was saved at each step: zeros where no chunk was read.
    """

    def body(n, carried):
        place = size * (used - 1 - n if backwards else n)
        chunk = prepare(_parts(arrays, place, size))

        def one(n, carried):
            state, stores = carried
            within = size - 1 - n if backwards else n
            state, saved = step(state, jax.tree.map(lambda a: a[within], chunk))
            # Straight to where it stays: a chunk of its own would be copied there.
            put = partial(lax.dynamic_update_index_in_dim, index=place + within, axis=0)
            return state, jax.tree.map(put, stores, saved)

        return lax.fori_loop(0, size, one, carried)

    def first(state, arrays):
        return step(state, jax.tree.map(lambda a: a[0], prepare(_parts(arrays, 0, size))))

    _, saved = jax.eval_shape(first, state, arrays)
    steps = len(jax.tree.leaves(arrays)[0])
    stores = jax.tree.map(lambda a: jnp.zeros((steps, *a.shape), a.dtype), saved)
    return lax.fori_loop(0, used, body, (state, stores))


def over_chunks(run, state, arrays, used, size, backwards):
    """Runs `state, saved = run(state, parts)` for each chunk of the arrays.

    Returns the last state, and what was saved at each step: zeros where no chunk was read.
    """

    def body(n, carried):
        state, stores = carried
        place = size * (used - 1 - n if backwards else n)
        state, saved = run(state, _parts(arrays, place, size))
        put = partial(lax.dynamic_update_slice_in_dim, start_index=place, axis=0)
        return state, jax.tree.map(put, stores, saved)

    _, saved = jax.eval_shape(lambda state, a: run(state, _parts(a, 0, size)), state, arrays)
    steps = len(jax.tree.leaves(arrays)[0])
    stores = jax.tree.map(lambda a: jnp.zeros((steps, *a.shape[1:]), a.dtype), saved)
    return lax.fori_loop(0, used, body, (state, stores))


def _parts(arrays, place, size):
    return jax.tree.map(lambda a: lax.dynamic_slice_in_dim(a, place, size), arrays)
