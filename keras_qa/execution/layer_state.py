"""Detects changes of a model's layers, and caches properties of the model.

Keras uses a compiled step until the next `compile`. A change of a layer in between, such as
`enable_lora` or another activation, would have no effect.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Iterator
from itertools import chain
from typing import Any

import keras

from keras_qa.execution.graph import all_layers, ignores_padding, rows_are_independent

# Set on every call; compiled programs do not depend on them.
_SET_BY_CALLS = {
    *("_called", "_losses", "_parent_path", "built", "training"),
    *("_dropout_mask", "_recurrent_dropout_mask"),
}

_MISSING = object()


class LayerState:
    """A snapshot of the attributes of all layers of a model.

    Args:
        model: A functional model.
    """

    def __init__(self, model: keras.Model) -> None:
        self._model = model
        self._is_settled = False

    def settle(self) -> None:
        """Takes the snapshot. Call it after the first trace, which sets some attributes."""
        self._is_settled = True
        self._layers = [vars(layer) for layer in all_layers(self._model)]
        self._seen = [dict(attributes) for attributes in self._layers]

    def is_current(self) -> bool:
        """Whether each attribute is still the same object. True before `settle`."""
        if not self._is_settled:
            return True
        # A fast check for the usual case: a large model has thousands of attributes.
        if list(map(len, self._layers)) == list(map(len, self._seen)) and all(
            map(operator.is_, _values(self._seen), _values(self._layers))
        ):
            return True
        for seen, attributes in zip(self._seen, self._layers, strict=True):
            for name in (seen.keys() | attributes.keys()) - _SET_BY_CALLS:
                if seen.get(name, _MISSING) is not attributes.get(name, _MISSING):
                    return False
        self.settle()
        return True

    @functools.cached_property
    def rows_are_independent(self) -> bool:
        """See `graph.rows_are_independent`."""
        return rows_are_independent(self._model)

    @functools.cached_property
    def ignores_padding(self) -> bool:
        """See `graph.ignores_padding`."""
        return ignores_padding(self._model)


def _values(layers: list[dict[str, Any]]) -> Iterator[Any]:
    return chain.from_iterable(map(dict.values, layers))
