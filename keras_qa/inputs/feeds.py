"""Types of feeds, labels and weights, before and after the checks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol, TypeAlias

import keras
import numpy as np
import numpy.typing as npt

from keras_qa.kernels.tensor_types import Tensor


class Frame(Protocol):
    """A pandas DataFrame or a table with the same interface: a column for each input."""

    @property
    def columns(self) -> Iterable[str]: ...

    @property
    def iloc(self) -> object: ...

    def __getitem__(self, name: str, /) -> Values: ...


# One input, or the labels of one output: an array, a tensor, a column or lists of numbers.
Values: TypeAlias = npt.ArrayLike | Tensor

# All inputs: by name, in order, or the only one.
Feed: TypeAlias = Values | Frame | Mapping[str, Values] | Sequence[Values]

# The labels of all outputs, in the same forms. `None` for an output without a loss.
Labels: TypeAlias = Values | Mapping[str, Values | None] | Sequence[Values | None]

# A weight for each example, or such weights by output.
Weights: TypeAlias = Values | Mapping[str, Values]

# Yields batches: a generator, a `tf.data.Dataset`, a torch `DataLoader`.
DataSource: TypeAlias = keras.utils.PyDataset | Iterable[Any]

# Checked inputs, labels, weights or outputs, in the structure of the model.
Arrays: TypeAlias = "np.ndarray | Mapping[str, Arrays | None] | Sequence[Arrays | None]"
