"""Whether the layers of a model have changed, and what follows from what they are.

Keras compiles the step of a model once and uses it until `compile` is called. A layer that was
changed in between, such as by `enable_lora` or by another activation, would compute as before.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Iterator
from itertools import chain
from typing import Any

import keras

from keras_qa.execution.graph import (
    all_layers,
    has_large_products,
    ignores_padding,
    rows_are_independent,
)

# Set on every call; nothing else depends on them.
_SET_BY_CALLS = {
    *("_called", "_losses", "_parent_path", "built", "training"),
    *("_dropout_mask", "_recurrent_dropout_mask"),
}

_MISSING = object()


class LayerState:
    """The attributes of all layers of a model at one moment.

    Args:
        model: A functional model.
    """

    def __init__(self, model: keras.Model) -> None:
        self._model = model
        self._is_settled = False

    def settle(self) -> None:
        """Takes the attributes as they are now. Before, the first call sets some by tracing."""
        self._is_settled = True
        self._layers = [vars(layer) for layer in all_layers(self._model)]
        self._seen = [dict(attributes) for attributes in self._layers]

    def is_current(self) -> bool:
        """Whether each attribute still is the same object. Before `settle`: true."""
        if not self._is_settled:
            return True
        # A large model has thousands of attributes. Most often these lines are all that runs.
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

    @functools.cached_property
    def has_large_products(self) -> bool:
        """See `graph.has_large_products`."""
        return has_large_products(self._model)


def _values(layers: list[dict[str, Any]]) -> Iterator[Any]:
    return chain.from_iterable(map(dict.values, layers))
