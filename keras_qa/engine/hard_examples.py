"""`HardExampleSampling`: epochs of the examples that are still answered wrong."""

from __future__ import annotations

import math
from typing import Any

import keras
import numpy as np

from keras_qa.engine import execution
from keras_qa.engine.batching import SortedBatches
from keras_qa.engine.labels import ONE_HOT, SPARSE, answer_of, model_outputs

# Minimum weight of a row. Rows that are never drawn again would be forgotten.
LEAST_WEIGHT = 0.02


class HardExampleSampling(keras.callbacks.Callback):
    """Trains each epoch on a share of the batches, and prefers rows that are answered wrong.

    After an epoch its rows are predicted. The total probability of the wrong answers, but at least
    0.02, is the row's weight in the next draw; rows that have not been drawn have weight 1. So most
    backward passes are for rows with a high loss (Jiang et al. 2019, arXiv:1910.00762). Unlike in
    the paper, a row's loss dates from the last epoch that contained the row.

    For `QAModel.fit` with arrays, and models whose answer is one of several classes. `weights`,
    `(rows,)`, is `None` before the first training.
    """

    def __init__(self, share: float) -> None:
        super().__init__()
        self.share = share
        self.weights: Any = None

    def attach(self, model: keras.Model, batches: SortedBatches | None) -> None:
        """Starts to choose the rows of each epoch. `QAModel.fit` calls this."""
        outputs = model_outputs(model)
        names = [item.name for item in outputs if item.name == "answer" or len(outputs) == 1]
        answers = [item for item in outputs if item.name in names and len(item.shape) == 2]
        if batches is None or not answers or answers[0].loss not in (SPARSE, ONE_HOT):
            raise ValueError(
                "`HardExampleSampling` needs arrays, `shuffle=True` and a model that predicts "
                "probabilities of answers with a cross-entropy loss. Received: outputs "
                f"{', '.join(f'`{item.name}` with loss {item.loss!r}' for item in outputs)}."
            )
        if self.weights is None:
            self.weights = np.ones(len(batches.inputs[0]), "float32")
        self.batches = batches
        self.predict_batch = execution.BatchPredictor(model)
        self.labels: Any = answer_of(batches.others[0])
        batches.draw = self._draw
        batches.arrange()

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        for step, (rows, _) in enumerate(self.batches.batches):
            outputs = self.predict_batch(keras.tree.flatten(self.batches[step][0]))
            outputs = keras.tree.pack_sequence_as(self.model.output, outputs)
            probabilities, labels = answer_of(outputs), self.labels[rows]
            if labels.ndim == 1:
                labels = np.eye(probabilities.shape[1], dtype=probabilities.dtype)[labels]
            wrong = 1.0 - np.sum(probabilities * labels, axis=1)
            self.weights[rows] = np.maximum(wrong, LEAST_WEIGHT)

    def _draw(self, rows: np.ndarray, random: np.random.Generator) -> np.ndarray:
        """Draws rows without replacement, with probabilities proportional to their weights.

        See Efraimidis & Spirakis 2006 (doi:10.1016/j.ipl.2005.11.003).
        """
        if self.share == 1:
            return rows
        turns = random.exponential(size=len(self.weights)) / self.weights
        size = self.batches.batch_size
        steps = math.ceil(self.share * math.ceil(len(rows) / size))
        return rows[np.argsort(turns[rows], kind="stable")][: steps * size]
