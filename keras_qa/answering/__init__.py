"""Question answering on strings: one question or many, saved texts, files, and documents."""

import warnings

from keras_qa import _backend

_backend.require()

from keras_qa.answering import files
from keras_qa.answering.answerer import QuestionAnswerer
from keras_qa.answering.loading import load
from keras_qa.answering.passage import Passage
from keras_qa.answering.text_embedder import TextEmbedder
from keras_qa.models.presets import presets

__all__ = ["Passage", "QuestionAnswerer", "TextEmbedder", "files", "load", "presets"]


def __getattr__(name: str) -> object:
    if name == "SentenceEncoder":
        warnings.warn(
            "`answering.SentenceEncoder` is now `answering.TextEmbedder`.",
            DeprecationWarning,
            stacklevel=2,
        )
        return TextEmbedder
    raise AttributeError(f"module 'keras_qa.answering' has no attribute {name!r}")
