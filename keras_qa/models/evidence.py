"""What an answer rests on: a copy of a model that also gives its attention over sentences."""

from __future__ import annotations

import copy

import keras
import numpy as np

from keras_qa import execution
from keras_qa.execution.layer_state import LayerState
from keras_qa.inputs.arrays import to_arrays
from keras_qa.inputs.feeds import Feed
from keras_qa.models.predicting import predict
from keras_qa.tasks.task import Verbose


class Evidence:
    """A copy of a model that also gives what its answers rest on.

    The copy keeps the weights that the model had when it was made.

    Args:
        model: A `QAModel` with one layer that has an argument `return_attention`, as
            `MemoryHops` and `UniversalTransformerEncoder` have.

    Raises:
        NotImplementedError: If there is no such layer, or more than one.

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
        config.pop("task", None)
        layers = [entry for entry in config["layers"] if "return_attention" in entry["config"]]
        if len(layers) != 1:
            raise NotImplementedError("The model has no one layer whose attention can be given.")
        layers[0]["config"]["return_attention"] = True
        twin = type(model).from_config(config)
        attention, support = keras.tree.flatten(twin.get_layer(layers[0]["name"]).output)[-2:]
        outputs = {"attention": attention, "support": support}
        if isinstance(twin.output, dict):
            # Where the data's supporting facts were learned, they are what the model says.
            outputs.update(twin.output)
        else:
            outputs["answer"] = twin.output
        self.model = model
        self.twin = type(model)(twin.inputs, outputs)
        # Nothing rests on padding.
        self.twin.output_padding = 0.0
        self._predict_batch = execution.BatchPredictor(self.twin)
        self._state = LayerState(self.twin)
        self.twin.set_weights(model.get_weights())

    def is_outdated(self) -> bool:
        """Whether the model has other weights by now."""
        weights = zip(self.twin.get_weights(), self.model.get_weights(), strict=True)
        return not all(np.array_equal(one, other) for one, other in weights)

    def predict(self, x: Feed, batch_size: int = 32, verbose: Verbose = 0) -> dict[str, np.ndarray]:
        """Gives answers, and what they rest on.

        Args:
            x: A feed, as the model takes it, all arrays.
            batch_size: Number of examples a step.
            verbose: 0 is silent, anything else shows a progress bar.

        Returns:
            A dict of the `answer`'s probabilities, `(batch, answers)`; the
            `attention` over sentences in each hop or step,
            `(batch, steps, sentences)`; and the `support` of each sentence,
            `(batch, sentences)`.
        """
        inputs = list(to_arrays(x, self.model).values())
        return predict(self._predict_batch, self._state, inputs, batch_size, verbose)
