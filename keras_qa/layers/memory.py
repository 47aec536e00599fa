"""End-to-end memory networks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Unpack

import keras
from keras import ops

from keras_qa._arguments import check_positive_integers
from keras_qa.kernels.tensor_types import Masks, Shape, Tensor
from keras_qa.layers.attention import masked_softmax
from keras_qa.layers.composite import Composite, LayerOptions

TYINGS = ("adjacent", "layer")
LINEAR_SCALE = 0.3


@keras.saving.register_keras_serializable(package="keras_qa")
class MemoryHops(Composite):
    """Looks into a memory of sentences again and again, each time with what was found before.

    The end-to-end memory network of Sukhbaatar et al. 2015 (arXiv:1503.08895): a hop compares the
    state with every sentence in one encoding, and adds to it the mean of the sentences in another,
    weighted by the softmax of the products.

    While its weight `linear` is one, each sentence counts by its product itself, times 0.3 and
    divided by the root of the number of sentences (section 4.2 of the paper, «linear start»). So
    chains of facts are found that a softmax hides from training, such as those of bAbI's task 16.
    `keras_qa.recipes.train` starts with one and sets it to zero later on.

    Args:
        num_hops: Number of hops.
        tying: Which encodings a hop reads, see below.

            - `"adjacent"`: what one hop adds up, the next one compares with;
              `num_hops + 1` encodings.
            - `"layer"`: all hops read the same two encodings, and the state
              is multiplied by a learned matrix between them.
        return_attention: Whether to return the attention as well.
        **kwargs: `name`, `dtype` and `trainable`, as in `keras.layers.Layer`.

    Call arguments:
        inputs: A list of the state, `(batch, features)`, and the encodings of the sentences,
            `(batch, sentences, features)` each.
        mask: A list of as many masks; that of the first encoding, `(batch, sentences)` boolean,
            says which sentences are there. `None` for all.

    Returns:
        The state after the last hop, `(batch, features)`. With `return_attention` also the weights
        of the sentences in each hop, `(batch, num_hops, sentences)`, and their mean over the hops,
        `(batch, sentences)`; each adds up to one, or is all zeros where there is no sentence. Of
        weights that may be negative, as `linear` ones are, it is their sizes that are shared out.

    Raises:
        ValueError: If an argument is out of its range, or the inputs are not as many as the tying
            needs.

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
        tying: str = "adjacent",
        return_attention: bool = False,
        **kwargs: Unpack[LayerOptions],
    ) -> None:
        super().__init__(**kwargs)
        check_positive_integers(num_hops=num_hops)
        if tying not in TYINGS:
            raise ValueError(f'`tying` must be "adjacent" or "layer". Received: tying={tying!r}.')
        self.num_hops = int(num_hops)
        self.tying = tying
        self.return_attention = return_attention

    @property
    def num_encodings(self) -> int:
        """How many encodings of the sentences it reads."""
        return self.num_hops + 1 if self.tying == "adjacent" else 2

    def build(self, input_shape: Sequence[Shape]) -> None:
        if len(input_shape) != 1 + self.num_encodings:
            raise ValueError(
                f"`inputs` must hold the state and {self.num_encodings} encodings of the "
                f"sentences. Received: {len(input_shape)} tensors."
            )
        if self.tying == "layer":
            self.carry = self.add_weight(
                shape=(input_shape[0][-1],) * 2, initializer="glorot_uniform", name="carry"
            )
        self.linear = self.add_weight(
            shape=(),
            initializer="zeros",
            trainable=False,
            dtype="float32",
            # The weights of sentences are made in float32, whatever the layer computes in.
            autocast=False,
            name="linear",
        )
        self.built = True

    def call(
        self, inputs: Sequence[Tensor], mask: Masks = None
    ) -> Tensor | tuple[Tensor, Tensor, Tensor]:
        state, *memories = inputs
        present = mask[1] if isinstance(mask, (list, tuple)) else None
        attention = []
        for hop in range(self.num_hops):
            first = hop if self.tying == "adjacent" else 0
            weights = self._attend(state, memories[first], present)
            read = ops.expand_dims(ops.cast(weights, self.compute_dtype), 1)
            found = ops.matmul(read, memories[first + 1])[:, 0]
            if self.tying == "layer":
                state = ops.matmul(state, ops.cast(self.carry, self.compute_dtype))
            state = state + found
            attention.append(weights)
        if not self.return_attention:
            return state
        by_hop = ops.abs(ops.stack(attention, axis=1))
        by_hop = by_hop / ops.maximum(ops.sum(by_hop, axis=-1, keepdims=True), 1e-12)
        return state, by_hop, ops.mean(by_hop, axis=1)

    def _attend(self, state: Tensor, memory: Tensor, present: Tensor | None) -> Tensor:
        products = ops.cast(ops.matmul(memory, ops.expand_dims(state, -1))[..., 0], "float32")
        there = ops.ones_like(products) if present is None else ops.cast(present, "float32")
        weights = masked_softmax(products, present)
        # Three hops make a power of three of it. So weighed, 9 sentences count as much as in the
        # paper, whose words start out a third as long.
        count = ops.maximum(ops.sum(there, axis=-1, keepdims=True), 1.0)
        linear = LINEAR_SCALE * products / ops.sqrt(count)
        return self.linear * there * linear + (1.0 - self.linear) * weights

    def compute_mask(self, inputs: Sequence[Tensor], mask: Masks = None) -> None:
        # What is returned speaks of the text as a whole.
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

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "num_hops": self.num_hops,
            "tying": self.tying,
            "return_attention": self.return_attention,
        }
