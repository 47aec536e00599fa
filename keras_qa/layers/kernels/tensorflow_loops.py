"""Loops of the kernels on TensorFlow over the steps of a call."""

from __future__ import annotations

import tensorflow as tf

from keras_qa.layers.kernels.masking import ends_early


class StepRange:
    """Which steps a loop reads, and in which order.

    Attributes:
        mask: (T, B, 1) or `None`.
        count: Number of steps to read, from the first; `None` for all of them.
    """

    def __init__(self, mask, go_backwards):
        self.go_backwards = go_backwards
        self.mask = self.count = None
        if mask is None:
            return
        self.mask = tf.transpose(mask)[..., None]
        if ends_early():
            # XLA's results are zeros for skipped steps.
            places = tf.range(1, tf.shape(self.mask)[0] + 1)
            used = tf.reduce_any(self.mask, [1, 2])
            self.count = tf.reduce_max(tf.where(used, places, tf.zeros_like(places)))

    def inputs(self, *arrays):
        """The arrays, and the mask if given, as inputs of a loop."""
        return [*arrays] if self.mask is None else [*arrays, self.mask]

    def first(self, array):
        """The entry of an array at the step that is read first."""
        if not self.go_backwards:
            return array[0]
        return array[-1] if self.count is None else tf.gather(array, tf.maximum(self.count - 1, 0))

    def hold(self, states, last, initial):
        """The states (T, B, U) with the state held over skipped steps."""
        if self.count is None:
            return states
        # Skipped steps are at the end: computed last, or first if backwards.
        is_read = (tf.range(tf.shape(states)[0]) < self.count)[:, None, None]
        return tf.where(is_read, states, initial if self.go_backwards else last)

    def outputs(self, hs, last, initial):
        """States (T, B, U) to outputs (B, T, U), in the order of computation."""
        # Again, so that the gradient of skipped steps reaches `last` or `initial`.
        hs = self.hold(hs, last, initial)
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

    # The index must not be computed from `count`: XLA would compile again for each value.
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
