"""Batches of a classic model, and data sources that yield them."""

from __future__ import annotations

import keras
from small_models import batch

STEPS, SIZE = 6, 8
(TEXTS, QUESTIONS), LABELS = batch(STEPS * SIZE, seed=3)
# Batches of two widths, the first two of the same one: each is compiled.
WIDTHS = (9, 9, 4, 9, 4, 9)


def good_batches():
    for step, width in enumerate(WIDTHS):
        rows = slice(step * SIZE, (step + 1) * SIZE)
        yield (TEXTS[rows, :width], QUESTIONS[rows]), LABELS[rows]


class Batches(keras.utils.PyDataset):
    """A `PyDataset` of any batches."""

    def __init__(self, batches, **kwargs) -> None:
        super().__init__(**kwargs)
        self.batches = list(batches)
        self.begun = self.ended = 0

    def __len__(self) -> int:
        return len(self.batches)

    def __getitem__(self, index: int):
        return self.batches[index]

    def on_epoch_begin(self) -> None:
        self.begun += 1

    def on_epoch_end(self) -> None:
        self.ended += 1


class Loader:
    """What a `DataLoader` is to Keras: sized, read in order, again each epoch."""

    def __init__(self, batches) -> None:
        self.batches = list(batches)

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self):
        # A DataLoader's collate function turns tuples into lists.
        return iter([list(item) if isinstance(item, tuple) else item for item in self.batches])
