"""Recurrent layers as whole loops, and attention: one file a backend, chosen once.

Every file has the same functions with the same arguments; `_reference.py` says in `keras.ops`
what they compute. A mask is a boolean per step, not a length per row: the state is held over a
masked step wherever it stands, so that a kernel is exact for any mask and never has to look at its
values (which a compiled program cannot).

`lstm(x, mask, initial_h, initial_c, kernel, recurrent_kernel, bias, *, go_backwards=False,
return_sequences=False, return_state=False, training=True, table=None)` returns
`(outputs, last_h, last_c)`, after Hochreiter & Schmidhuber (1997); the gates are Keras' `i, f, c,
o`.

`gru(x, mask, initial_h, kernel, recurrent_kernel, bias, *, go_backwards=False,
return_sequences=False, training=True, table=None)` returns `(outputs, last_h)`, after Cho et al.
(2014) with the reset gate applied after the product (Keras' `reset_after=True`); the gates are
`z, r, h`.

- `x` (B, T, F); `mask` (B, T) boolean or None; states (B, U).
- `kernel` (F, 4U) or (F, 3U); `recurrent_kernel` (U, 4U) or (U, 3U); `bias` (4U,), (2, 3U) or None.
- `x` (B, T) of integers are rows of `table` (V, F): the same as `look_up(table, x)`, but where
  `takes_ids()` is true, rows are looked up as steps are read, and their gradients added up so.
  Without a table they stand for one-hot steps: a step's projection is a row of `kernel`. For
  inference; where `takes_ids()` is false, it raises or is slower.
- `training` False says that no gradient is expected: nothing is saved for one. It is right all the
  same, but costs more.
- `outputs` (B, T, U) in the order of computation, a masked step repeating the state before it
  (`initial_h` where nothing came before); None unless `return_sequences`.
- `last_c` is None unless `return_state`: on torch it costs extra under a mask.

`look_up(table, ids)` returns the rows (..., D) of a table (V, D) for integer ids (...).

`dropout(inputs, rate, seed)` sets a share of the entries to zero, `rate` rounded to 16 bits, and
divides the others by the share that is left. What it draws depends on `seed`, a
`keras.random.SeedGenerator`, or on torch, as with Keras' own, on PyTorch's global seed.

`scan(step, state, inputs, draw)` applies a step again and again, once for each part along the
first axis of the arrays `inputs`: `state, output = step(state, parts, drawn)`. It returns the last
state and the outputs stacked, or None if they are None. `state`, `inputs` and `parts` are tuples of
arrays; `drawn` is an array that `draw()` gives anew for each step, or None: a step itself must draw
no random numbers.

`split_heads(projected, num_heads)` gives queries, keys and values, (B, H, T, D) each, of what one
product gives for all three, (B, T, 3·H·D); `merge_heads(found)` gives (B, T, H·D) of (B, H, T, D).

`attention(query, key, value, bias, scale, drop=None)` returns each position's mean of `value`,
weighted by the softmax of `scale` times the products of `query` and `key` and of `bias` (Vaswani et
al. 2017). All of (B, H, T, D), `bias` of (B, H, T, T), any of the first three 1. `drop`, of the
weights (B, H, T, T), gives those to use in place of them.

`gelu(inputs)` is each number times the share of a normal distribution below it (Hendrycks & Gimpel
2016, arXiv:1606.08415), by the error function.

`takes_ids()` says whether ids are better looked up by the kernels than by an embedding.

`keras_is_fused()` says whether Keras' own layers call cuDNN, which they do on TensorFlow where
there is a GPU. They want masks with padding on the right: see `right_padding`.

`check_transforms(*arrays)` raises where a transformation of the backend's own goes through the
arrays that these functions have no rule for: gradients in forward mode, on torch also `vmap`.

All arrays have one floating dtype; a kernel may compute half precision in float32. A setting that
a kernel does not support raises `NotImplementedError`.
"""

from keras_qa import _backend

_backend.require()

import importlib
from typing import TYPE_CHECKING

import keras

if TYPE_CHECKING:
    # Every file has the signatures of the reference.
    from keras_qa.kernels import _reference as _kernels
else:
    _kernels = importlib.import_module(f"keras_qa.kernels.{keras.config.backend()}")

lstm = _kernels.lstm
gru = _kernels.gru
look_up = _kernels.look_up
dropout = _kernels.dropout
scan = _kernels.scan
split_heads = _kernels.split_heads
merge_heads = _kernels.merge_heads
attention = _kernels.attention
gelu = _kernels.gelu
takes_ids = _kernels.takes_ids
keras_is_fused = _kernels.keras_is_fused
check_transforms = _kernels.check_transforms
HOLDS_INITIAL_STATE = _kernels.HOLDS_INITIAL_STATE
