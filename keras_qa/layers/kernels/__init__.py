"""Recurrent loops, attention and a few operations: one file a backend, chosen once at import.

Every backend file has the same functions with the same arguments. `reference.py` implements them in
`keras.ops` and is what the others are tested against.

A masked step keeps the state of the step before it, so that a kernel is exact for any mask and need
not read its values, which a compiled program cannot do.

`lstm(x, mask, initial_h, initial_c, kernel, recurrent_kernel, bias, *, go_backwards=False,
return_sequences=False, return_state=False, training=True)` returns `(outputs, last_h, last_c)`,
after Hochreiter & Schmidhuber (1997). The gates are in Keras' order `i, f, c, o`.

`gru(x, mask, initial_h, kernel, recurrent_kernel, bias, *, go_backwards=False,
return_sequences=False, training=True)` returns `(outputs, last_h)`, after Cho et al.
(2014) with the reset gate applied after the product (Keras' `reset_after=True`). The gates are in
Keras' order `z, r, h`.

- `x` (B, T, F); `mask` (B, T) boolean or None; states (B, U).
- `kernel` (F, 4U) or (F, 3U); `recurrent_kernel` (U, 4U) or (U, 3U); `bias` (4U,), (2, 3U) or None.
- `training`: `False` if no gradient is needed. Gradients are correct either way, but slower to
  compute with `False`.
- `outputs` (B, T, U) in the order of computation, or None without `return_sequences`. A masked step
  repeats the state before it: `initial_h` if no valid step came before.
- `last_c` is None without `return_state`: with a mask it costs extra on PyTorch.

`look_up(table, ids)` returns the rows (..., D) of a table (V, D) for integer ids (...).

`dropout(inputs, rate, seed)` sets a share `rate`, rounded to 16 bits, of the entries to zero and
divides the others by `1 - rate`. `seed` is a `keras.random.SeedGenerator`. On PyTorch the random
numbers depend on PyTorch's global seed instead, as in Keras' own dropout.

`scan(step, state, inputs, draw)` calls `state, output = step(state, part, drawn)` once for each
entry `part` along the first axis of `inputs`. It returns the last state and the stacked outputs, or
None if the outputs are None. `drawn` is the result of a call of `draw()` for this step, an array or
None. A step must not draw random numbers itself.

`attention(query, key, value, bias, scale, drop=None)` is
`softmax(scale * query @ keyᵀ + bias) @ value` (Vaswani et al. 2017). `query`, `key` and `value` are
(B, H, T, D); `bias` is (B, H, T, T), where any of the first three axes may be 1. `drop` is a
function applied to the attention weights (B, H, T, T).

`dense(inputs, kernel, bias)` is `inputs @ kernel + bias`; `bias` may be None.

`gelu(inputs)` is the exact GELU, by the error function (Hendrycks & Gimpel 2016, arXiv:1606.08415).

`Layer` is the base class of our layers. On PyTorch, predictions call it without Keras' checks.

`zeros(shape, dtype)` is an initializer for weights that are replaced at once.

`HOLDS_INITIAL_STATE`: Keras' backends disagree on the outputs of masked steps before the first
valid one. True if Keras' loop on this backend gives the initial state, False if it gives zeros.

All arrays have one floating dtype; a kernel may compute half precision in float32.
"""

from keras_qa import _backend

_backend.require()

import importlib
from typing import TYPE_CHECKING

import keras

if TYPE_CHECKING:
    # Every backend file has the signatures of the reference.
    from keras_qa.layers.kernels import reference as _kernels
else:
    _kernels = importlib.import_module(f"keras_qa.layers.kernels.{keras.config.backend()}")

lstm = _kernels.lstm
gru = _kernels.gru
look_up = _kernels.look_up
dropout = _kernels.dropout
scan = _kernels.scan
attention = _kernels.attention
dense = _kernels.dense
gelu = _kernels.gelu
Layer = _kernels.Layer
zeros = _kernels.zeros
HOLDS_INITIAL_STATE = _kernels.HOLDS_INITIAL_STATE
