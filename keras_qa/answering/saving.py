"""The files and folders that an answerer is saved as."""

from __future__ import annotations

import os
import pathlib

from keras_qa.answering import adapters
from keras_qa.models import QAModel
from keras_qa.models.pretrained import save_reader
from keras_qa.tasks import Task


class Saved:
    """What an answerer can be saved as. `keras_qa.load` loads all of it."""

    def save(self, path: str | os.PathLike[str]) -> None:
        """Saves weights, vocabulary and settings as one `.keras` file, for any backend.

        Args:
            path: Where to. Must end in `.keras`.

        Raises:
            ValueError: If the path does not end so, or there has been no `fit`.
        """
        path = _keras_file(path)
        self._fitted()[0].save(path)

    def save_pretrained(self, folder: str | os.PathLike[str]) -> None:
        """Saves a reader that was made of a checkpoint as one, in Hugging Face's layout.

        `AutoTokenizer` and `AutoModelForQuestionAnswering` of `transformers` read the folder, and
        `keras_qa.load` does. Only `save` also keeps what `fit` found beside the weights, such as
        the calibration of scores.

        Args:
            folder: Where to. Made where it does not exist.

        Raises:
            ImportError: If the `safetensors` library is missing.
            ValueError: If the model was made of no checkpoint or was quantized, or there has been
                no `fit`.
        """
        model, task = self._fitted()
        save_reader(model, task.vectorizer.tokenizer, pathlib.Path(folder))

    def save_adapter(self, path: str | os.PathLike[str]) -> None:
        """Saves what `fit(…, lora_rank=…)` has learned, apart from the encoder.

        The file holds the name of the encoder, without its path, and a checksum of its weights.
        `keras_qa.load` loads an encoder from the Hub or from a package by that name; a folder is
        named by `keras_qa.load("mine.keras", backbone="folder/")`, or lies beside the file.

        Args:
            path: Where to. Must end in `.keras`.

        Raises:
            ImportError: If a library that reads checkpoints is not installed.
            ValueError: If the path does not end so, the model was not trained by LoRA, or its
                encoder differs from the published one in more than that: after a `fit` of all
                weights, after `quantize`, or loaded from a `.keras` file, into which LoRA was
                merged. `save` saves such a reader whole.
        """
        adapters.save(self._fitted()[0], _keras_file(path))

    def _fitted(self) -> tuple[QAModel, Task]:
        """The trained model, and its way of answering."""
        raise NotImplementedError


def _keras_file(path: str | os.PathLike[str]) -> pathlib.Path:
    if not str(path).endswith(".keras"):
        raise ValueError(f"`path` must end in `.keras`. Received: path={str(path)!r}.")
    return pathlib.Path(path)
