"""`LSTM` and `GRU` beside Keras' own layers: settings, inputs and equal weights."""

import keras
import numpy as np
from backend_calls import to_numpy
from keras import ops
from kernel_cases import MASKS

from keras_qa.layers import kernels
from keras_qa.layers.recurrent import GRU, LSTM

# The rows of both masks are in one batch.
MASKED = np.concatenate([MASKS["right_padded"], MASKS["scattered"]])
(BATCH, STEPS), FEATURES = MASKED.shape, 3
OURS = {"lstm": LSTM, "gru": GRU}
KERAS = {"lstm": keras.layers.LSTM, "gru": keras.layers.GRU}
SETTINGS = {
    "plain": {},
    "both": {"return_sequences": True, "return_state": True},
    "backwards_both": {"go_backwards": True, "return_sequences": True, "return_state": True},
    "zeros": {"zero_output_for_mask": True, "return_sequences": True, "return_state": True},
    "zeros_last": {"zero_output_for_mask": True},
    "no_bias": {"use_bias": False, "return_sequences": True},
}


def inputs(seed=0):
    return np.random.default_rng(seed).normal(size=(BATCH, STEPS, FEATURES)).astype("float32")


def states(kind, units=4, seed=3):
    rng = np.random.default_rng(seed)
    return [rng.normal(size=(BATCH, units)).astype("float32") for _ in range(1 + (kind == "lstm"))]


def pair(kind, fused="auto", **settings):
    """Our layer and Keras', with the same random weights."""
    settings = {"units": 4, "seed": 0, **settings}
    ours, theirs = OURS[kind](**settings, fused=fused), KERAS[kind](**settings)
    for layer in (ours, theirs):
        layer.build((BATCH, STEPS, FEATURES))
    rng = np.random.default_rng(2)
    weights = [rng.normal(size=w.shape).astype("float32") * 0.7 for w in theirs.trainable_variables]
    for layer in (ours, theirs):
        for variable, weight in zip(layer.trainable_variables, weights, strict=True):
            variable.assign(weight)
    return ours, theirs


def arrays(result):
    results = result if isinstance(result, (list, tuple)) else [result]
    return [to_numpy(ops.cast(r, "float32")) for r in results]


def assert_same(ours, theirs, atol=1e-5):
    assert len(ours) == len(theirs)
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a, b, atol=atol)


def count_kernel_calls(monkeypatch, kind):
    """A list with one entry for each call of the kernel `kind` by a layer."""
    calls, kernel = [], getattr(kernels, kind)
    monkeypatch.setattr(kernels, kind, lambda *a, **k: calls.append(1) or kernel(*a, **k))
    return calls
