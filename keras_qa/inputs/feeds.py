"""What a user may feed, and what comes out of the checks: names for these types."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol, TypeAlias

import keras
import numpy as np
import numpy.typing as npt

from keras_qa.kernels.tensor_types import Tensor


class Frame(Protocol):
    """A pandas DataFrame, or a table that acts like one: a column for each input."""

    @property
    def columns(self) -> Iterable[str]:
        """Names of the columns."""

    @property
    def iloc(self) -> object:
        """The rows by position."""

    def __getitem__(self, name: str, /) -> Values:
        """A column."""


# One input, or the labels of one output: an array, a tensor, a column, lists of numbers.
Values: TypeAlias = npt.ArrayLike | Tensor

# All inputs: by name, in their order, or the only one.
Feed: TypeAlias = Values | Frame | Mapping[str, Values] | Sequence[Values]

# The labels of all outputs, likewise. An output that is not trained has none.
Labels: TypeAlias = Values | Mapping[str, Values | None] | Sequence[Values | None]

# A weight for each example, or by output.
Weights: TypeAlias = Values | Mapping[str, Values]

# What yields batches: a generator, a `tf.data.Dataset`, a torch `DataLoader`.
DataSource: TypeAlias = keras.utils.PyDataset | Iterable[Any]

# Checked inputs, labels, weights or outputs, in the structure that a model has.
Arrays: TypeAlias = "np.ndarray | Mapping[str, Arrays | None] | Sequence[Arrays | None]"
