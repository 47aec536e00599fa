"""End-to-end memory networks."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from keras_qa.layers.sizes import check_sizes

TYINGS = ("adjacent", "layer")


@keras.saving.register_keras_serializable(package="keras_qa")
class MemoryHops(keras.layers.Layer):
    """Looks into a memory of sentences again and again, each time with what was found before.

    The end-to-end memory network of Sukhbaatar et al. 2015 (arXiv:1503.08895): a hop compares the
    state with every sentence in one encoding, and adds to it the mean of the sentences in another,
    weighted by the softmax of the products.

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
        `(batch, sentences)`; each adds up to one, or is all zeros where there is no sentence.

    Raises:
        ValueError: If an argument is out of its range, or the inputs are not as many as the tying
            needs.

    Example:

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
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        check_sizes(num_hops=num_hops)
        if tying not in TYINGS:
            raise ValueError(f'`tying` must be "adjacent" or "layer". Received: tying={tying!r}.')
        self.num_hops = int(num_hops)
        self.tying = tying
        self.return_attention = return_attention

    @property
    def num_encodings(self) -> int:
        """How many encodings of the sentences it reads."""
        return self.num_hops + 1 if self.tying == "adjacent" else 2

    def build(self, input_shape: list[tuple[int | None, ...]]) -> None:
        if len(input_shape) != 1 + self.num_encodings:
            raise ValueError(
                f"`inputs` must hold the state and {self.num_encodings} encodings of the "
                f"sentences. Received: {len(input_shape)} tensors."
            )
        if self.tying == "layer":
            self.carry = self.add_weight(
                shape=(input_shape[0][-1],) * 2, initializer="glorot_uniform", name="carry"
            )
        self.built = True

    def call(self, inputs: Any, mask: Any = None) -> Any:
        state, *memories = inputs
        present = mask[1] if isinstance(mask, (list, tuple)) else None
        attention = []
        for hop in range(self.num_hops):
            first = hop if self.tying == "adjacent" else 0
            weights = _attend(state, memories[first], present)
            found = ops.matmul(ops.expand_dims(weights, 1), memories[first + 1])[:, 0]
            if self.tying == "layer":
                state = ops.matmul(state, ops.cast(self.carry, self.compute_dtype))
            state = state + found
            attention.append(ops.cast(weights, "float32"))
        if not self.return_attention:
            return state
        by_hop = ops.stack(attention, axis=1)
        return state, by_hop, ops.mean(by_hop, axis=1)

    def compute_mask(self, inputs: Any, mask: Any = None) -> None:
        # What is returned speaks of the text as a whole.
        return None

    def compute_output_spec(self, inputs: Any, mask: Any = None) -> Any:
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


def _attend(state: Any, memory: Any, present: Any) -> Any:
    scores = ops.cast(ops.matmul(memory, ops.expand_dims(state, -1))[..., 0], "float32")
    if present is not None:
        # Not minus infinity: a text without sentences would become NaN.
        scores = ops.where(present, scores, -1e9)
    weights = ops.softmax(scores, axis=-1)
    if present is not None:
        weights = ops.where(present, weights, 0.0)
    return ops.cast(weights, memory.dtype)
