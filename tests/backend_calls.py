"""Calls functions of backend tensors, and their gradients, with NumPy arrays."""

import keras
import numpy as np
from keras import ops

BACKEND = keras.config.backend()


def to_numpy(tensor):
    # `ops.convert_to_numpy` of Keras 3.15 warns with NumPy 2.4.
    if BACKEND == "torch":
        tensor = tensor.detach()
    return np.asarray(tensor) if BACKEND == "jax" else tensor.numpy()


def prepared(fn, arrays, mode="eager"):
    """Makes a function of arrays from `fn`, a function of backend tensors. It compiles once.

    The result is a list of arrays. Where `fn` returns `None`, it has `None`.
    """
    if BACKEND == "jax" and mode == "xla":
        import jax

        fn = jax.jit(fn)
    elif BACKEND == "tensorflow" and mode != "eager":
        import tensorflow as tf

        # Only the shapes of the last three arrays, the weights, are static.
        tensors = [ops.convert_to_tensor(a) for a in arrays]
        shapes = [[None] * (t.ndim - 1) + [t.shape[-1]] for t in tensors[:-3]]
        shapes += [t.shape for t in tensors[-3:]]
        signature = [tf.TensorSpec(s, t.dtype) for s, t in zip(shapes, tensors, strict=True)]
        fn = tf.function(fn, input_signature=signature, jit_compile=mode == "xla")

    def call(given):
        results = fn(*(ops.convert_to_tensor(a) for a in given))
        return [None if r is None else to_numpy(r) for r in results]

    return call


def compiled_call(layer):
    """Makes a function of inputs and a mask that calls `layer` with the weights that it then has.

    On JAX it compiles once for each shape: called directly, a layer compiles each operation.
    """
    if BACKEND != "jax":
        return layer
    import jax

    @jax.jit
    def program(trainable, others, inputs, options):
        return layer.stateless_call(trainable, others, inputs, **options)[0]

    def call(inputs, **options):
        parts = layer.trainable_variables, layer.non_trainable_variables
        return program(*([v.value for v in part] for part in parts), inputs, options)

    return call


def run(fn, arrays, mode="eager"):
    """Calls `fn` with arrays. Returns a list of arrays or `None`s."""
    return prepared(fn, arrays, mode)(arrays)


def gradient(fn, arrays):
    """Makes a function that returns the gradients of `fn(*tensors)` for the floating tensors."""
    floating = [i for i, a in enumerate(arrays) if np.issubdtype(np.asarray(a).dtype, np.floating)]
    if BACKEND == "jax":
        import jax

        return jax.grad(fn, argnums=tuple(floating))

    def by_tape(*tensors):
        import tensorflow as tf

        with tf.GradientTape() as tape:
            watched = [tensors[i] for i in floating]
            tape.watch(watched)
            value = fn(*tensors)
        # The gradient of a gather is sparse: convert it.
        return [tf.convert_to_tensor(g) for g in tape.gradient(value, watched)]

    def backward(*tensors):
        tensors = list(tensors)
        for i in floating:
            tensors[i] = tensors[i].clone().requires_grad_()
        fn(*tensors).backward()
        return [tensors[i].grad for i in floating]

    return by_tape if BACKEND == "tensorflow" else backward


def gradients(fn, arrays, mode="eager"):
    """The gradients of the scalar `fn(*tensors)` for the floating arrays."""
    return run(gradient(fn, arrays), arrays, mode)
