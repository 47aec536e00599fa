"""When a model's own way of running gives what Keras gives, and when what it compiled is outdated.

The rule, in one place: a program stands for a model as long as no attribute of any of its layers
is another object than when the program was made. Weights are no part of that: a program is given
their values, or reads them, at each call. And a model is run our own way only where everything in
it is Keras' or ours; of anything else nobody knows what it hangs on, and Keras runs it.
"""

from __future__ import annotations

import functools
import operator
import types
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any

import keras

# Whose layers, functions and methods are known: what they compute hangs on what they are given, and
# on their attributes, alone.
_KNOWN = ("keras.", "keras_qa.", "keras_hub.", "torch.nn.modules.container.")

# What a call sets itself, and no program hangs on.
_SET_BY_CALLS = {
    "_called",
    "_dropout_mask",
    "_losses",
    "_parent_path",
    "_recurrent_dropout_mask",
    "built",
    "training",
}

# What says how a model predicts. Whoever overrides one of them has it called.
PREDICTING = ("__call__", "call", "predict_step", "make_predict_function")

# And how it trains.
TRAINING = (
    "__call__",
    "call",
    "train_step",
    "make_train_function",
    "compute_loss",
    "compute_metrics",
)

# And how it is evaluated.
TESTING = (
    "__call__",
    "call",
    "test_step",
    "make_test_function",
    "compute_loss",
    "compute_metrics",
)

_METHODS = frozenset({*PREDICTING, *TRAINING, "compute_mask", "forward", "quantized_call"})


class Signature:
    """What programs of a model hang on, as it was when this was made.

    Args:
        model: A functional model.
    """

    def __init__(self, model: keras.Model) -> None:
        self.model = model
        self.layers = list(_layers(model))
        self._models = [model, *(it for it in self.layers if isinstance(it, keras.Model))]
        # Other attributes of a model change with every `fit`.
        self._others = [it for it in self.layers if not isinstance(it, keras.Model)]
        self._settings = list(map(_settings, self._models))
        self._seen = list(_values(map(vars, self._others)))

    def holds(self) -> bool:
        """Whether the model still is what it was."""
        if list(map(_settings, self._models)) != self._settings:
            return False
        held: Any = list(map(vars, self._others))
        if sum(map(len, held)) != len(self._seen):
            return False
        # A large model has thousands of attributes: most often this is all that is done.
        if all(map(operator.is_, self._seen, _values(held))):
            return True
        now = list(_values(held))
        named = zip(chain.from_iterable(held), self._seen, now, strict=True)
        if not all(one is other or name in _SET_BY_CALLS for name, one, other in named):
            return False
        self._seen = now
        return True

    def is_known(self, methods: Iterable[str]) -> bool:
        """Whether all that runs is Keras' or ours, some methods of the model among it."""
        strategy = getattr(self.model, "distribute_strategy", None)
        return (
            not self.model.run_eagerly
            and keras.distribution.distribution() is None
            and getattr(strategy, "num_replicas_in_sync", 1) == 1
            and all(_origin_is_known(_method(self.model, name)) for name in methods)
            and all(map(layer_is_known, self.layers))
        )


def _values(held: Any) -> Iterator[Any]:
    return chain.from_iterable(map(dict.values, held))


def _layers(model: keras.Model) -> Iterator[Any]:
    """Every layer and operation in a model, however deep, each once."""
    seen: set[int] = {id(model)}
    waiting: list[Any] = list(model.operations if model.inputs else model.layers)
    while waiting:
        found = waiting.pop()
        if id(found) in seen:
            continue
        seen.add(id(found))
        yield found
        if isinstance(found, keras.Model):
            waiting.extend(found.operations if found.inputs else found.layers)
        waiting.extend(value for value in _held(found) if isinstance(value, keras.Operation))


def _held(layer: Any) -> Iterator[Any]:
    for value in vars(layer).values():
        if isinstance(value, dict):
            yield from value.values()
        elif isinstance(value, (list, tuple)):
            yield from value
        else:
            yield value


def _settings(model: keras.Model) -> tuple[Any, ...]:
    return (
        model.run_eagerly,
        model.jit_compile,
        model.dtype_policy,
        keras.distribution.distribution(),
        *(vars(model).get(name) for name in _METHODS),
    )


def is_known(value: Any) -> bool:
    """Whether a loss, a metric, an optimizer or a name of one is Keras' or ours."""
    if value is None or isinstance(value, (str, int, float)):
        return True
    if isinstance(value, (types.FunctionType, functools.partial, type)):
        return _origin_is_known(value)
    return _is_ours(type(value).__module__) and all(
        map(_origin_is_known, filter(callable, vars(value).values()))
    )


def layer_is_known(layer: Any) -> bool:
    """Whether a layer is Keras' or ours, as are the functions and methods that it computes by."""
    kind = type(layer)
    if not _is_ours(kind.__module__) or not _origin_is_known(_method(layer, "call")):
        return False
    if isinstance(layer, keras.Model):
        return not layer.run_eagerly and all(
            _origin_is_known(_method(layer, name)) for name in ("__call__", "call")
        )
    return (
        _METHODS.isdisjoint(vars(layer))
        and getattr(layer, "_remat_mode", None) is None
        and all(map(_origin_is_known, filter(callable, _held(layer))))
    )


def draws(layer: Any) -> bool:
    """Whether a layer draws Keras' random numbers, of which other shapes and XLA have others."""
    held = vars(layer)
    if not type(layer).__module__.startswith("keras."):
        return held.get("seed") is not None
    if not any(isinstance(value, keras.random.SeedGenerator) for value in held.values()):
        return False
    rates = [held[name] for name in ("rate", "dropout", "recurrent_dropout") if name in held]
    return any(rates) or not rates


def _method(thing: Any, name: str) -> Any:
    return vars(thing).get(name) or getattr(type(thing), name)


def _origin_is_known(called: Any) -> bool:
    if isinstance(called, functools.partial):
        return _origin_is_known(called.func)
    if isinstance(called, (types.FunctionType, types.MethodType, types.BuiltinFunctionType, type)):
        return _is_ours(called.__module__)
    return _is_ours(type(called).__module__)


def _is_ours(module: str | None) -> bool:
    return module is not None and f"{module}.".startswith(_KNOWN)
