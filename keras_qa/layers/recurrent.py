"""`LSTM` and `GRU`: Keras' layers with a fused kernel instead of the loop over cells.

Weights, names, configuration and numbers are those of Keras on the same backend.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_qa.layers import kernels
from keras_qa.layers.base_layer import zero_initialized
from keras_qa.layers.kernels.masking import zero_masked
from keras_qa.layers.kernels.tensor_types import Shape, Tensor

# One state for a GRU, two for an LSTM.
States = Sequence[Tensor]

_TANH = (keras.activations.tanh, ops.tanh)
_SIGMOID = (keras.activations.sigmoid, ops.sigmoid)


class _FusedRNN(kernels.Layer, keras.layers.RNN):
    """Common parts of the two layers: the `fused` argument, the choice of a path, masks."""

    def __init__(self, *args: Any, fused: str | bool = "auto", **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if fused not in ("auto", True, False):
            raise ValueError(
                f"`fused` must be 'auto', True or False. Received: fused={fused!r}. "
                "Use 'auto' for the fused kernel whenever it supports the settings."
            )
        self.fused = fused
        self._has_kernel()

    def build(self, sequences_shape: Shape, initial_state_shape: Any = None) -> None:
        with zero_initialized(self.cell):
            super().build(sequences_shape, initial_state_shape)

    def _has_kernel(self) -> bool:
        """Whether a kernel computes the layer. Raises if it has to by `fused=True`, but cannot."""
        unsupported = self._unsupported()
        if unsupported and self.fused is True:
            raise ValueError(
                f"`fused=True`, but the fused kernel has no {unsupported}. Use `fused='auto'` to "
                "compute such a layer with Keras' loop."
            )
        return self.fused is not False and unsupported is None

    def _unsupported(self) -> str | None:
        """The setting that the kernels do not support, or `None`."""
        if not any(self.activation is f for f in _TANH):
            return "`activation` but tanh"
        if not any(self.recurrent_activation is f for f in _SIGMOID):
            return "`recurrent_activation` but sigmoid"
        if self.recurrent_dropout:
            return "`recurrent_dropout`"
        if self.unroll:
            return "`unroll=True`"
        if self.dropout and self.cell.implementation == 1:
            return "dropout per gate (`implementation=1`)"
        return None

    def call(
        self,
        sequences: Tensor,
        initial_state: States | None = None,
        mask: Tensor | None = None,
        training: bool = False,
    ) -> Any:
        # For few rows, `RNN.call` of Keras takes longer than the loop.
        more = self.stateful or self.return_state or self.zero_output_for_mask
        if training or initial_state is not None or more or not self._has_kernel():
            return super().call(
                sequences, initial_state=initial_state, mask=mask, training=training
            )
        sequences = ops.cast(sequences, self.cell.compute_dtype)
        states = self.get_initial_state(ops.shape(sequences)[0])
        mask = None if mask is None else ops.cast(mask, "bool")
        outputs, states = self._run_kernel(sequences, mask, states, False)
        return ops.cast(outputs if self.return_sequences else states[0], self.compute_dtype)

    def inner_loop(
        self,
        sequences: Tensor,
        initial_state: States,
        mask: Tensor | list[Tensor] | tuple[Tensor, ...] | None,
        training: bool = False,
    ) -> tuple[Tensor, Tensor, States]:
        step_mask = mask[0] if isinstance(mask, (list, tuple)) else mask
        if not self._has_kernel():
            return super().inner_loop(sequences, initial_state, step_mask, training=training)

        sequences = ops.cast(sequences, self.cell.compute_dtype)
        if step_mask is not None:
            step_mask = ops.cast(step_mask, "bool")
        if training and 0.0 < self.dropout < 1.0:
            # One mask for all steps. Keras drew it before this call and resets it afterwards.
            dropout_mask = self.cell.get_dropout_mask(sequences[:, 0, :])
            sequences = sequences * ops.expand_dims(dropout_mask, 1)
        outputs, states = self._run_kernel(sequences, step_mask, initial_state, training)
        last = states[0]
        if step_mask is not None:
            outputs, last = self._hide_masked(outputs, last, step_mask)
        # Without `return_sequences` Keras ignores the outputs, but casts them.
        return last, last if outputs is None else outputs, states

    def _run_kernel(
        self, sequences: Tensor, mask: Tensor | None, initial_state: States, training: bool
    ) -> tuple[Any, States]:
        weights = [
            None if w is None else ops.convert_to_tensor(w, self.cell.compute_dtype)
            for w in (self.cell.kernel, self.cell.recurrent_kernel, self.cell.bias)
        ]
        outputs, *states = self._kernel(
            sequences,
            mask,
            *initial_state,
            *weights,
            go_backwards=self.go_backwards,
            return_sequences=self.return_sequences,
            training=training,
        )
        return outputs, states

    def _hide_masked(
        self, outputs: Tensor | None, last: Tensor, mask: Tensor
    ) -> tuple[Any, Tensor]:
        """Sets the same masked outputs to zero as Keras: see `kernels.HOLDS_INITIAL_STATE`."""
        if kernels.HOLDS_INITIAL_STATE and not self.zero_output_for_mask:
            return outputs, last
        shown = ops.flip(mask, axis=1) if self.go_backwards else mask
        if not self.zero_output_for_mask:
            # Keras shows the outputs from the first valid step on.
            first = ops.argmax(ops.cast(shown, "int32"), axis=1, keepdims=True)
            steps = ops.arange(ops.shape(mask)[1], dtype=first.dtype)
            shown = ops.logical_and(steps >= first, ops.any(mask, axis=1, keepdims=True))
        last = zero_masked(last, shown[:, -1])
        if outputs is not None:
            outputs = zero_masked(outputs, shown)
        return outputs, last

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "fused": self.fused}


@keras.saving.register_keras_serializable(package="keras_qa")
class LSTM(_FusedRNN, keras.layers.LSTM):
    """`keras.layers.LSTM` by a fused kernel that supports masks on every backend.

    Long short-term memory after Hochreiter & Schmidhuber (1997). Weights, configuration and, within
    rounding, outputs and gradients are those of Keras' layer.

    Args:
        units: Width U of the state.
        fused: `"auto"` uses the kernel if it supports the settings, and Keras' loop otherwise.
            `True` raises instead of using Keras' loop. `False` always uses Keras' loop. Not
            supported are activations other than tanh and sigmoid, `recurrent_dropout`, `unroll`,
            and dropout with `implementation=1`.
        *args: As in `keras.layers.LSTM`.
        **kwargs: As in `keras.layers.LSTM`.

    Call arguments:
        sequences: (B, T, F).
        initial_state: Two states (B, U). `None` for zeros.
        mask: (B, T) boolean, any pattern. `False` keeps the state over the step.
        training: Whether `dropout` applies.

    Returns:
        (B, U), or (B, T, U) with `return_sequences`; with `return_state` also the two last states.

    Examples:
        >>> import numpy as np
        >>> layer = LSTM(4)
        >>> mask = np.array([[True, True, False], [True, True, True]])
        >>> tuple(layer(np.ones((2, 3, 5)), mask=mask).shape)
        (2, 4)
    """

    def _kernel(self, *arrays: Any, **options: Any) -> Any:
        return_state = self.return_state or self.stateful
        outputs, h, c = kernels.lstm(*arrays, return_state=return_state, **options)
        return (outputs, h) if c is None else (outputs, h, c)


@keras.saving.register_keras_serializable(package="keras_qa")
class GRU(_FusedRNN, keras.layers.GRU):
    """`keras.layers.GRU` by a fused kernel that supports masks on every backend.

    Gated recurrent unit after Cho et al. (2014). Weights, configuration and, within rounding,
    outputs and gradients are those of Keras' layer. Masks and `fused` are as in `LSTM`; the kernel
    does not support `reset_after=False` either.

    Args:
        units: Width of the state.
        *args: As in `keras.layers.GRU`.
        **kwargs: As in `keras.layers.GRU`, and `fused`.

    Examples:
        >>> import numpy as np
        >>> layer = GRU(4, return_sequences=True)
        >>> tuple(layer(np.ones((2, 3, 5))).shape)
        (2, 3, 4)
    """

    def _unsupported(self) -> str | None:
        return super()._unsupported() if self.reset_after else "`reset_after=False`"

    def _kernel(self, *arrays: Any, **options: Any) -> Any:
        return kernels.gru(*arrays, **options)
