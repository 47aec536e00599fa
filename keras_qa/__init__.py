"""Question answering for Keras 3, on TensorFlow, PyTorch and JAX alike."""

import importlib
from typing import TYPE_CHECKING

from keras_qa import _backend, metrics, preprocessing, text
from keras_qa.example import Answer, AnswerLocation, Box, Example, Ranked, Support

if TYPE_CHECKING:
    from keras_qa import answering, documents, integrations, layers, losses, models, onnx, report
    from keras_qa import data as datasets
    from keras_qa import engine as inputs
    from keras_qa import training as recipes
    from keras_qa.answering.answerer import QuestionAnswerer
    from keras_qa.answering.loading import load, presets
    from keras_qa.answering.pipeline import pipeline
    from keras_qa.answering.verification import verify

__version__ = "0.1.0"

# Imported on first use: these need a backend, which may be missing or chosen later. `documents`
# needs SQLite only.
_ROOMS = (
    *("answering", "data", "documents", "engine", "integrations", "layers", "losses", "models"),
    *("onnx", "report", "serving", "training"),
)
# The public names of rooms that have another name.
_PUBLIC = {"datasets": "data", "inputs": "engine", "recipes": "training"}
_NAMES = {
    "QuestionAnswerer": "answering.answerer",
    "load": "answering.loading",
    "pipeline": "answering.pipeline",
    "presets": "answering.loading",
    "verify": "answering.verification",
}

__all__ = [
    "Answer",
    "AnswerLocation",
    "Box",
    "Example",
    "QuestionAnswerer",
    "Ranked",
    "Support",
    "answering",
    "datasets",
    "documents",
    "inputs",
    "integrations",
    "layers",
    "load",
    "losses",
    "metrics",
    "models",
    "onnx",
    "pipeline",
    "preprocessing",
    "presets",
    "recipes",
    "report",
    "text",
    "verify",
]


def __getattr__(name: str) -> object:
    name = _PUBLIC.get(name, name)
    if name in _ROOMS:
        return importlib.import_module(f"keras_qa.{name}")
    if name in _NAMES:
        return getattr(importlib.import_module(f"keras_qa.{_NAMES[name]}"), name)
    raise AttributeError(f"module 'keras_qa' has no attribute {name!r}")


_backend.choose()
_backend.register_with_keras()
