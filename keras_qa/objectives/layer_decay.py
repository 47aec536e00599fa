"""AdamW with a lower learning rate for lower layers of an encoder."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_qa.kernels.tensor_types import Tensor

# Names of the layers of `layers.TransformerEncoder` and its blocks.
_BLOCK = re.compile(
    r"(?P<encoder>(?:.*/)?)block_(?P<place>\d+)/"
    r"(?:attention|attention_norm|hidden|output_dense|output_norm)/"
)
_EMBEDDINGS = re.compile(r"(?P<encoder>(?:.*/)?)(?:tokens|positions|segments|norm|project)/[^/]+$")


@keras.saving.register_keras_serializable(package="keras_qa")
class LayerDecayAdamW(keras.optimizers.AdamW):
    """AdamW with layer-wise decay of the learning rate, to fine-tune published encoders.

    The learning rate of block i of n, counted from 0, is multiplied by `layer_decay**(n - i)`, that
    of the embeddings by `layer_decay**(n + 1)`. All other weights, such as those of the head, have
    the full rate. n is the number of blocks up to the last trained one. The weight decay is that of
    `keras.optimizers.AdamW`, with the full rate for all weights.

    Args:
        learning_rate: Learning rate of the head, or a schedule.
        layer_decay: Factor from each block to the block below. 1 for the same rate everywhere.
        **kwargs: As in `keras.optimizers.AdamW`.

    Raises:
        ValueError: If `layer_decay` is out of its range, or no block of an encoder is trained.

    Reference:
        Howard & Ruder 2018, "Universal Language Model Fine-tuning for Text Classification",
        arXiv:1801.06146, section 3.2; Clark et al. 2020, "ELECTRA", arXiv:2003.10555, appendix B.
        The exponents are those of Bao et al. 2021, "BEiT", arXiv:2106.08254.

    Examples:
        >>> from keras_qa.objectives import LayerDecayAdamW
        >>> optimizer = LayerDecayAdamW(1e-4, layer_decay=0.8, weight_decay=0.01)
        >>> optimizer.get_config()["layer_decay"]
        0.8
    """

    def __init__(
        self,
        learning_rate: float | keras.optimizers.schedules.LearningRateSchedule = 1e-3,
        layer_decay: float = 0.8,
        **kwargs: object,
    ) -> None:
        if not 0 < layer_decay <= 1:
            raise ValueError(
                f"`layer_decay` must be above 0 and at most 1. Received: layer_decay={layer_decay}."
            )
        super().__init__(learning_rate, **kwargs)
        self.layer_decay = layer_decay

    def build(self, var_list: Sequence[keras.Variable]) -> None:
        if self.built:
            return
        factors = layer_factors([variable.path for variable in var_list], self.layer_decay)
        super().build(var_list)
        self.factors = tuple(factors)

    def update_step(
        self, gradient: Tensor, variable: keras.Variable, learning_rate: Tensor
    ) -> None:
        factor = self.factors[self._get_variable_index(variable)]
        super().update_step(gradient, variable, ops.cast(learning_rate, variable.dtype) * factor)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "layer_decay": self.layer_decay}


def layer_factors(paths: Sequence[str], decay: float) -> list[float]:
    """The factor of each weight's learning rate, see `LayerDecayAdamW`.

    Args:
        paths: The `path` of each trained variable.
        decay: Factor from each block to the block below.

    Raises:
        ValueError: If no path belongs to a block of a `layers.TransformerEncoder`.

    Examples:
        >>> from keras_qa.objectives.layer_decay import layer_factors
        >>> blocks = [f"backbone/block_{place}/hidden/kernel" for place in range(2)]
        >>> layer_factors(["backbone/tokens/embeddings", *blocks, "span/logits/kernel"], 0.5)
        [0.125, 0.25, 0.5, 1.0]
    """
    found = [_BLOCK.match(path) for path in paths]
    blocks: dict[str, int] = {}
    for match in filter(None, found):
        encoder = match["encoder"]
        blocks[encoder] = max(blocks.get(encoder, 0), int(match["place"]) + 1)
    if not blocks:
        raise ValueError(
            "`layer_decay` needs trained blocks of a `layers.TransformerEncoder`, such as in a "
            "reader of `keras_qa.load`. Leave it out for other models."
        )
    factors = []
    for path, block in zip(paths, found, strict=True):
        table = _EMBEDDINGS.match(path)
        below = 0
        if block is not None:
            below = blocks[block["encoder"]] - int(block["place"])
        elif table is not None and table["encoder"] in blocks:
            below = blocks[table["encoder"]] + 1
        factors.append(float(decay**below))
    return factors
