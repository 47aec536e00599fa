"""How the kernels on JAX cut the steps of a call into chunks, and loop over them."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
from jax import lax

# Steps that are read between two looks at whether all rows have ended.
_CHUNK = range(12, 21)


class Chunks:
    """The steps of a call, first axis first, and how they are cut into chunks.

    Attributes:
        settings: What a program hangs on: `(go_backwards, return_sequences, steps a chunk)`.
        arrays: How many chunks are read, the mask (T, B, 1) or `None`, and the steps (T, B, ...).
    """

    def __init__(self, x, mask, go_backwards, return_sequences):
        self.steps = x.shape[1]
        if mask is None and not self.steps:
            mask = jnp.zeros(x.shape[:2], bool)
        sizes = [size for size in _CHUNK if mask is not None or self.steps % size == 0]
        size = min(sizes, key=lambda size: (-self.steps % size, -size), default=self.steps)
        self.size = max(1, min(size, self.steps))
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


def over_chunks(run, state, arrays, used, size, backwards):
    """Runs `state, saved = run(state, parts)` for each chunk of the arrays.

    Returns the last state, and what was saved at each step: zeros where no chunk was read.
    """

    def part(array, place):
        return lax.dynamic_slice_in_dim(array, place, size)

    def body(n, carried):
        state, stores = carried
        place = size * (used - 1 - n if backwards else n)
        state, saved = run(state, jax.tree.map(partial(part, place=place), arrays))
        put = partial(lax.dynamic_update_slice_in_dim, start_index=place, axis=0)
        return state, jax.tree.map(put, stores, saved)

    steps = len(jax.tree.leaves(arrays)[0])
    _, saved = jax.eval_shape(run, state, jax.tree.map(partial(part, place=0), arrays))
    stores = jax.tree.map(lambda a: jnp.zeros((steps, *a.shape[1:]), a.dtype), saved)
    return lax.fori_loop(0, used, body, (state, stores))
