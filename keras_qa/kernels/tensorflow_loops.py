"""How the kernels on TensorFlow loop over the steps of a call, and which steps they read."""

from __future__ import annotations

import tensorflow as tf

from keras_qa.kernels.early import ends_early


class Read:
    """Which steps are read, and in which order.

    Attributes:
        mask: (T, B, 1) or `None`.
        count: How many steps are read, from the first; `None` for all of them.
    """

    def __init__(self, mask, go_backwards):
        self.go_backwards = go_backwards
        self.mask = self.count = None
        if mask is None:
            return
        self.mask = tf.transpose(mask)[..., None]
        if ends_early():
            # XLA gives zeros for the steps that are left out.
            places = tf.range(1, tf.shape(self.mask)[0] + 1)
            used = tf.reduce_any(self.mask, [1, 2])
            self.count = tf.reduce_max(tf.where(used, places, tf.zeros_like(places)))

    def inputs(self, *arrays):
        """What a loop reads: the arrays, and the mask if there is one."""
        return [*arrays] if self.mask is None else [*arrays, self.mask]

    def first(self, array):
        """What stands in an array at the step that is read first."""
        if not self.go_backwards:
            return array[0]
        return array[-1] if self.count is None else tf.gather(array, tf.maximum(self.count - 1, 0))

    def held(self, states, last, initial):
        """The states (T, B, U) after each step, those that are not read among them."""
        if self.count is None:
            return states
        # They come last; backwards, they come first.
        is_read = (tf.range(tf.shape(states)[0]) < self.count)[:, None, None]
        return tf.where(is_read, states, initial if self.go_backwards else last)

    def outputs(self, hs, last, initial):
        """The states (T, B, U) of all steps as (B, T, U), in the order of computation."""
        # Here again, for the gradient of those that are not read.
        hs = self.held(hs, last, initial)
        return tf.transpose(tf.reverse(hs, [0]) if self.go_backwards else hs, [1, 0, 2])


def previous(states, initial, go_backwards):
    """The state before each step, from the state after each step."""
    if go_backwards:
        return tf.concat([states[1:], initial[None]], axis=0)
    return tf.concat([initial[None], states[:-1]], axis=0)


def loop(step, states, inputs, saved_widths, read, backwards):
    """Runs `states, saved = step(states, [a[t] for a in inputs])` over the steps of `inputs`.

    Returns the last states and each saved tensor stacked over the steps, (T, B, width).
    """
    length = tf.shape(inputs[0])[0]
    count = length if read.count is None else read.count
    dtype = states[0].dtype
    stores = [
        tf.TensorArray(dtype, size=length, element_shape=(None, width)) for width in saved_widths
    ]

    # No sum of `count` with a counter: XLA compiles for each value of what a slice hangs on.
    def body(t, states, stores):
        states, saved = step(states, [a[t] for a in inputs])
        stores = [s.write(t, value) for s, value in zip(stores, saved, strict=True)]
        return t - 1 if backwards else t + 1, states, stores

    shapes = [tf.TensorShape([None, s.shape[-1]]) for s in states]
    _, states, stores = tf.while_loop(
        (lambda t, *_: t >= 0) if backwards else (lambda t, *_: t < count),
        body,
        (count - 1 if backwards else tf.constant(0), list(states), stores),
        shape_invariants=(tf.TensorShape([]), shapes, [tf.TensorShape(None)] * len(stores)),
    )
    return states, [s.stack() for s in stores]
