"""The sentences that support an answer: a copy of a model that also returns its attention."""

from __future__ import annotations

import copy
from typing import Any

import keras
import numpy as np

from keras_qa import execution
from keras_qa.execution.layer_state import LayerState
from keras_qa.inputs.arrays import to_arrays
from keras_qa.inputs.feeds import Feed
from keras_qa.models.predicting import predict
from keras_qa.preprocessing.ask_options import Verbose


class Evidence:
    """A copy of a model that also returns which sentences support its answers.

    The copy has the weights that the model had when the copy was made.

    Args:
        model: A `QAModel` with exactly one layer that has an argument `return_attention`, such as
            `MemoryHops` or `UniversalTransformerEncoder`.

    Raises:
        NotImplementedError: If the model has no such layer, or more than one.

    Examples:
        >>> import numpy as np
        >>> from keras_qa.models import memory_network
        >>> from keras_qa.models.evidence import Evidence
        >>> evidence = Evidence(memory_network(50, answer_vocabulary_size=6, embedding_dim=16))
        >>> outputs = evidence.predict([np.ones((2, 3, 5), "int32"), np.ones((2, 4), "int32")])
        >>> {name: value.shape for name, value in sorted(outputs.items())}
        {'answer': (2, 6), 'attention': (2, 3, 3), 'support': (2, 3)}
    """

    def __init__(self, model: keras.Model) -> None:
        config = copy.deepcopy(model.get_config())
        config.pop("preprocessor", None)
        layers = [entry for entry in config["layers"] if "return_attention" in entry["config"]]
        if len(layers) != 1:
            raise NotImplementedError("The model must have one layer that returns its attention.")
        layers[0]["config"]["return_attention"] = True
        twin = type(model).from_config(config)
        attention, support = keras.tree.flatten(twin.get_layer(layers[0]["name"]).output)[-2:]
        outputs = {"attention": attention, "support": support}
        if isinstance(twin.output, dict):
            # Support that was learned from supporting facts takes precedence over attention.
            outputs.update(twin.output)
        else:
            outputs["answer"] = twin.output
        self.model = model
        self.twin = type(model)(twin.inputs, outputs)
        self.twin.output_padding = 0.0
        self._predict_batch = execution.BatchPredictor(self.twin)
        self._state = LayerState(self.twin)
        self.twin.set_weights(model.get_weights())

    def is_outdated(self) -> bool:
        """Whether the model's weights have changed since the copy was made."""
        weights = zip(self.twin.get_weights(), self.model.get_weights(), strict=True)
        return not all(np.array_equal(one, other) for one, other in weights)

    def predict(self, x: Feed, batch_size: int = 32, verbose: Verbose = 0) -> dict[str, np.ndarray]:
        """Computes answers and their support.

        Args:
            x: The model's inputs as arrays, as `QAModel.predict` takes them.
            batch_size: Number of examples in a step.
            verbose: 0 is silent; any other value shows a progress bar.

        Returns:
            A dict of `answer`, `(batch, answers)`: probabilities; `attention`,
            `(batch, steps, sentences)`: the attention over sentences in each hop or step; and
            `support`, `(batch, sentences)`.
        """
        inputs = list(to_arrays(x, self.model).values())
        return predict(self._predict_batch, self._state, inputs, batch_size, verbose)


def with_evidence(model: Any) -> Any:
    """Returns the model's `Evidence` with its current weights, or the model if it has none."""
    if sum(hasattr(layer, "return_attention") for layer in model.layers) != 1:
        return model
    if model._evidence is None or model._evidence.is_outdated():
        model._evidence = Evidence(model)
    return model._evidence
