"""End-to-end memory networks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Unpack

import keras
from keras import ops

from keras_qa._arguments import to_integer
from keras_qa.layers.base_layer import BaseLayer, LayerOptions
from keras_qa.layers.kernels.masking import mask_of, masked_softmax
from keras_qa.layers.kernels.tensor_types import Masks, Shape, Tensor

LINEAR_SCALE = 0.3


@keras.saving.register_keras_serializable(package="keras_qa")
class MemoryHops(BaseLayer):
    """Several attention hops over a memory of sentences, each starting from the last result.

    The end-to-end memory network of Sukhbaatar et al. 2015 (arXiv:1503.08895). A hop compares the
    state with every sentence in one encoding. It adds to the state the mean of the sentences in
    another encoding, weighted by the softmax of the products. The second encoding of a hop is the
    first one of the next hop ("adjacent", section 2.2 of the paper).

    While the weight `linear` is 1, there is no softmax: the weight of a sentence is its product,
    times 0.3 and divided by the square root of the number of sentences ("linear start", section
    4.2). `keras_qa.recipes.train` starts with 1 and sets it to 0 later.

    Args:
        num_hops: Number of hops.
        return_attention: Whether to return the attention weights, too.
        **kwargs: `name`, `dtype` and `trainable`, as in `keras.layers.Layer`.

    Call arguments:
        inputs: A list of the state, `(batch, features)`, and `num_hops + 1` encodings of the
            sentences, `(batch, sentences, features)` each.
        mask: A list of masks of the inputs. That of the first encoding, `(batch, sentences)`
            boolean, is that of the sentences. `None` if no sentence is padding.

    Returns:
        The state after the last hop, `(batch, features)`. With `return_attention` also the weights
        of the sentences in each hop, `(batch, num_hops, sentences)`, and their mean over the hops,
        `(batch, sentences)`. Each row sums to 1, or is all zeros for an empty text. While `linear`
        is 1, these are normalised absolute values.

    Examples:
        >>> import numpy as np
        >>> from keras_qa.layers import MemoryHops
        >>> state, sentences = np.ones((2, 8)), np.ones((2, 5, 8))
        >>> tuple(MemoryHops(2)([state, sentences, sentences, sentences]).shape)
        (2, 8)
    """

    ignores_padding = True

    def __init__(
        self,
        num_hops: int = 3,
        return_attention: bool = False,
        **kwargs: Unpack[LayerOptions],
    ) -> None:
        super().__init__(**kwargs)
        self.num_hops = to_integer("num_hops", num_hops)
        self.return_attention = return_attention

    def build(self, input_shape: Sequence[Shape]) -> None:
        if len(input_shape) != self.num_hops + 2:
            raise ValueError(
                f"`inputs` must contain the state and {self.num_hops + 1} encodings of the "
                f"sentences. Received: {len(input_shape)} tensors."
            )
        self.linear = self.add_weight(
            shape=(),
            initializer="zeros",
            trainable=False,
            dtype="float32",
            # Attention weights are float32 under every dtype policy.
            autocast=False,
            name="linear",
        )
        self.built = True

    def call(
        self, inputs: Sequence[Tensor], mask: Masks = None
    ) -> Tensor | tuple[Tensor, Tensor, Tensor]:
        state, *memories = inputs
        present = mask_of(mask, 1)
        attention = []
        for hop in range(self.num_hops):
            weights = self._attend(state, memories[hop], present)
            read = ops.expand_dims(ops.cast(weights, self.compute_dtype), 1)
            state = state + ops.matmul(read, memories[hop + 1])[:, 0]
            attention.append(weights)
        if not self.return_attention:
            return state
        by_hop = ops.abs(ops.stack(attention, axis=1))
        by_hop = by_hop / ops.maximum(ops.sum(by_hop, axis=-1, keepdims=True), 1e-12)
        return state, by_hop, ops.mean(by_hop, axis=1)

    def _attend(self, state: Tensor, memory: Tensor, present: Tensor | None) -> Tensor:
        products = ops.cast(ops.matmul(memory, ops.expand_dims(state, -1))[..., 0], "float32")
        presence = ops.ones_like(products) if present is None else ops.cast(present, "float32")
        weights = masked_softmax(products, present)
        # Each hop multiplies by the products. This scale equals the paper's for 9 sentences, whose
        # initial word vectors are a third as long.
        count = ops.maximum(ops.sum(presence, axis=-1, keepdims=True), 1.0)
        linear = LINEAR_SCALE * products / ops.sqrt(count)
        return self.linear * presence * linear + (1.0 - self.linear) * weights

    def compute_mask(self, inputs: Sequence[Tensor], mask: Masks = None) -> None:
        return None

    def compute_output_spec(
        self, inputs: Sequence[keras.KerasTensor], mask: Masks = None
    ) -> keras.KerasTensor | tuple[keras.KerasTensor, ...]:
        batch, sentences, features = inputs[1].shape
        state = keras.KerasTensor((batch, features), self.compute_dtype)
        if not self.return_attention:
            return state
        by_hop = keras.KerasTensor((batch, self.num_hops, sentences), "float32")
        return state, by_hop, keras.KerasTensor((batch, sentences), "float32")
