"""One batch after the other, for those that keep what predicts it themselves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from keras_qa import execution
from keras_qa.execution.signature import PREDICTING, Signature


def batch_function(model: keras.Model) -> Callable[[list[np.ndarray]], Any]:
    """Gives what predicts a batch of a model that stays as it is, but for its weights.

    Args:
        model: A functional model.

    Returns:
        A function of arrays in the order of the model's inputs, that gives arrays in the structure
        of its outputs.
    """
    signature = Signature(model)
    if signature.is_known(PREDICTING):
        batch = execution.BatchPredictor(model, signature)
        return lambda inputs: keras.tree.pack_sequence_as(
            model.output, batch.finish(batch.start(inputs))
        )

    def call(inputs: list[np.ndarray]) -> Any:
        outputs = model(keras.tree.pack_sequence_as(model.input, inputs), training=False)
        return keras.tree.map_structure(keras.ops.convert_to_numpy, outputs)

    return call
