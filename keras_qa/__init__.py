"""Question answering for Keras 3, on TensorFlow, PyTorch and JAX alike."""

import importlib
import pathlib
import sys
from typing import TYPE_CHECKING

from keras_qa import _backend, datasets, decoding, metrics, tasks, text
from keras_qa.example import Answer, Example, Source, Support

if TYPE_CHECKING:
    from keras_qa import (
        answering,
        documents,
        inputs,
        integrations,
        layers,
        models,
        objectives,
        recipes,
        report,
    )
    from keras_qa.answering import QuestionAnswerer, load, presets

__version__ = "0.1.0"

# Where these are: they need a backend, which may not be there, or be chosen later; `documents`
# needs SQLite, and no backend.
_ROOMS = (
    *("answering", "documents", "inputs", "integrations", "layers", "models", "objectives"),
    *("recipes", "report"),
)
_NAMES = {
    "QuestionAnswerer": "answering",
    "load": "answering",
    "presets": "answering",
}

__all__ = [
    "Answer",
    "Example",
    "QuestionAnswerer",
    "Source",
    "Support",
    "answering",
    "datasets",
    "decoding",
    "documents",
    "inputs",
    "integrations",
    "layers",
    "load",
    "metrics",
    "models",
    "objectives",
    "presets",
    "recipes",
    "report",
    "tasks",
    "text",
]


def __getattr__(name: str) -> object:
    if name in _ROOMS:
        return importlib.import_module(f"keras_qa.{name}")
    if name in _NAMES:
        return getattr(importlib.import_module(f"keras_qa.{_NAMES[name]}"), name)
    raise AttributeError(f"module 'keras_qa' has no attribute {name!r}")


_backend.choose()

# The command reads its options first: its help needs no Keras.
_is_command = pathlib.Path(next(iter(sys.argv), "")).stem == "keras-qa"

if not _is_command and _backend.problem() is None:
    # So that `keras.saving.load_model` finds every layer, model, loss and schedule.
    for _room in ("layers", "models", "objectives"):
        importlib.import_module(f"keras_qa.{_room}")
