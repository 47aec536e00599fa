"""A compiled function of a model, with a limited number of compiled shapes."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import keras

# Each compiled shape takes memory and memory mappings (at most 65,530 for a process on Linux).
MAX_SHAPES = 64


class Program:
    """A function that the backend compiles for each shape.

    It is made again when Keras makes the model's `predict_function` again, such as after `compile`,
    or at a new shape when it has `MAX_SHAPES`. The first call of a shape holds a lock, because a
    backend traces a function in one thread at a time.
    """

    def __init__(self, model: keras.Model, make: Callable[[], Callable[..., Any]]) -> None:
        self._model = model
        self._make = make
        self._lock = threading.RLock()
        self._of: Any = None
        self._function: Callable[..., Any] = make
        self._shapes: set[Any] = set()

    def __call__(self, shapes: Any, *arguments: Any) -> Any:
        """Calls the function with arguments that have these shapes."""
        with self._lock:
            self._model.make_predict_function()
            is_full = shapes not in self._shapes and len(self._shapes) >= MAX_SHAPES
            if self._of is not self._model.predict_function or is_full:
                self._of, self._function = self._model.predict_function, self._make()
                self._shapes = set()
            function = self._function
            if shapes not in self._shapes:
                outputs = function(*arguments)
                self._shapes.add(shapes)
                return outputs
        return function(*arguments)
