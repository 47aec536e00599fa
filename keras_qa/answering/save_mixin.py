"""Saving an answerer as a file or a folder."""

from __future__ import annotations

import os
import pathlib
from typing import Any

from keras_qa.models import QAModel, adapters
from keras_qa.models.pretrained import save_reader
from keras_qa.preprocessing import Preprocessor


class SaveMixin:
    """Methods that save an answerer. `keras_qa.load` loads all of these formats."""

    def save(self, path: str | os.PathLike[str]) -> None:
        """Saves weights, vocabulary and settings as one `.keras` file, for any backend.

        Args:
            path: The file. Must end in `.keras`.

        Raises:
            ValueError: If the path does not end in `.keras`, or the answerer is not fitted.
        """
        path = _keras_file(path)
        self._fitted()[0].save(path)

    def save_pretrained(self, folder: str | os.PathLike[str]) -> None:
        """Saves a reader on a published encoder as a checkpoint in Hugging Face's layout.

        `keras_qa.load`, and `AutoTokenizer` and `AutoModelForQuestionAnswering` of `transformers`,
        read the folder. Settings that are not weights, such as the calibration of scores, are only
        saved by `save`.

        Args:
            folder: The folder. Created if it does not exist.

        Raises:
            ImportError: If the `safetensors` library is missing.
            ValueError: If the model was not created from a checkpoint or was quantized, or the
                answerer is not fitted.
        """
        model, preprocessor = self._fitted()
        tokenizer: Any = preprocessor.vectorizer.tokenizer
        save_reader(model, tokenizer, pathlib.Path(folder))

    def save_adapter(self, path: str | os.PathLike[str]) -> None:
        """Saves the weights that `fit(…, lora_rank=…)` trained, without the encoder.

        The file contains the name of the encoder, without its path, and a checksum of its weights.
        `keras_qa.load` finds an encoder of the Hub or of a package by that name. If the encoder is
        a folder, pass it as `keras_qa.load("mine.keras", backbone="folder/")`, or put it next to
        the file.

        Args:
            path: The file. Must end in `.keras`.

        Raises:
            ImportError: If a library that reads checkpoints is not installed.
            ValueError: If the path does not end in `.keras`, the model was not trained with LoRA,
                or its encoder has other changes: all weights were trained, it was quantized, or it
                was loaded from a `.keras` file, in which LoRA is merged. Use `save` for such a
                reader.
        """
        adapters.save(self._fitted()[0], _keras_file(path))

    def _fitted(self) -> tuple[QAModel, Preprocessor]:
        raise NotImplementedError


def _keras_file(path: str | os.PathLike[str]) -> pathlib.Path:
    if not str(path).endswith(".keras"):
        raise ValueError(f"`path` must end in `.keras`. Received: path={str(path)!r}.")
    return pathlib.Path(path)
