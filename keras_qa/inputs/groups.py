"""Batches of groups of pairs of texts, such as a question with several passages."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence

import keras
import numpy as np

from keras_qa.inputs.batching import fitted, resize

# A question, and texts of which the first one answers it.
Group = tuple[str, list[str]]


class GroupBatches(keras.utils.PyDataset):
    """Batches of whole groups for `objectives.losses.RankingLoss`. A pair of texts is a row.

    All batches have the same number of rows, since each number costs a compilation. The rest is
    padding.

    Args:
        model: A model with a `PairPreprocessor`.
        groups: The groups.
        batch_size: Number of groups in a batch. The last one of a pass may be smaller.
        seed: Seed of the order of the groups. `None` to keep their order.
        steps: Number of batches in an epoch, which continues where the last one ended. `None` for
            all groups in each epoch.

    Attributes:
        epoch: Number of the epoch. The batches depend only on it and on the seed, so resumed
            training has the same batches as uninterrupted training.
    """

    def __init__(
        self,
        model: keras.Model,
        groups: Sequence[Group],
        batch_size: int,
        seed: int | None = None,
        steps: int | None = None,
    ) -> None:
        super().__init__()
        self.model = model
        self.groups = groups
        self.batch_size = batch_size
        self.epoch = 0
        self.batches_per_pass = math.ceil(len(groups) / batch_size)
        self.steps = steps or self.batches_per_pass
        self.rows = min(batch_size, len(groups)) * max(len(texts) for _, texts in groups)

        @functools.lru_cache(maxsize=2)
        def order(number: int) -> np.ndarray:
            rows = np.arange(len(groups))
            return rows if seed is None else np.random.default_rng((seed, number)).permutation(rows)

        self.order = order

    def __len__(self) -> int:
        return self.steps

    def __getitem__(self, index: int) -> tuple[dict[str, np.ndarray], np.ndarray]:
        number, place = divmod(self.epoch * self.steps + index, self.batches_per_pass)
        rows = self.order(number)[place * self.batch_size :][: self.batch_size]
        some = [self.groups[row] for row in rows]
        questions = [question for question, texts in some for _ in texts]
        feed = self.model.preprocessor.make_feed(
            self.model, questions, [text for _, texts in some for text in texts]
        )
        arrays = fitted(self.model, list(feed.values()), fill=False)
        places = [place for _, texts in some for place in range(len(texts))]
        labels = np.repeat(np.arange(1, len(some) + 1), [len(texts) for _, texts in some])
        labels = np.where(np.array(places) == 0, labels, -labels)
        filled = [resize(array, (self.rows, *array.shape[1:])) for array in (*arrays, labels)]
        return dict(zip(feed, filled, strict=False)), filled[-1]
