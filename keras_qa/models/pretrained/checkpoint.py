"""Folders in Hugging Face's layout: an encoder and its head for question answering."""

from __future__ import annotations

import os
import pathlib
from typing import Any

from keras_qa.files.json_files import read_object
from keras_qa.layers import SpanHead, TransformerEncoder
from keras_qa.layers.composite import DType
from keras_qa.layers.zero_initialized import skip_initializers
from keras_qa.models.pretrained import weights
from keras_qa.models.pretrained.families import FAMILIES
from keras_qa.models.pretrained.family import Family
from keras_qa.models.pretrained.tensors import Tensors
from keras_qa.text import SubwordTokenizer

CONFIG = "config.json"

# Ends of the names of models with heads for something else.
_OTHER_TASKS = (
    "ForSequenceClassification",
    "ForTokenClassification",
    "ForMultipleChoice",
    "ForNextSentencePrediction",
    "ForImageClassification",
)


class Checkpoint:
    """A folder that holds a published encoder, with its head or without.

    Args:
        folder: The folder.
        name: What it was asked for by. `None` for the folder's path.

    Attributes:
        config: Its `config.json`.
        has_head: Whether it holds a head for question answering.

    Raises:
        ImportError: If the `safetensors` library is missing.
        ValueError: If a file is missing or damaged, or the model is of an unknown family or for
            another task.
    """

    def __init__(self, folder: str | os.PathLike[str], name: str | None = None) -> None:
        self.folder = pathlib.Path(folder).expanduser()
        self.config = {
            **read_config(self.folder),
            "_name_or_path": name or str(self.folder.resolve()),
        }
        kind = self.config.get("model_type")
        if kind not in FAMILIES:
            raise ValueError(
                f"`{self.folder}` holds a model of the family {kind!r:.60}, which is not known. "
                f"Known are {', '.join(FAMILIES)}."
            )
        for model in self.config.get("architectures") or ():
            if str(model).endswith(_OTHER_TASKS):
                raise ValueError(
                    f"`{self.folder}` holds a {model}: a model for another task. Name a checkpoint "
                    "for question answering, or one of the encoder alone."
                )
        self.family: Family = FAMILIES[kind]
        self.tensors = Tensors(self.folder)
        self.names = weights.Names(self.tensors, self.family)
        self.has_head = f"{self.family.head}.weight" in self.names

    @property
    def sizes(self) -> tuple[int, int]:
        """Width of the encoder's vectors, and between the two dense layers of a block."""
        settings = self._settings()
        return settings["hidden_dim"], settings["intermediate_dim"]

    def encoder(self, dtype: DType = None, name: str = "backbone") -> TransformerEncoder:
        """Makes the encoder, its weights zeros, which `load` then replaces.

        Args:
            dtype: Dtype policy. `None` for Keras' global one.
            name: Its name.

        Raises:
            ValueError: If a setting is not supported.
        """
        settings = self._settings()
        self._check_sizes(settings)
        encoder = TransformerEncoder(**settings, checkpoint=self.config, dtype=dtype, name=name)
        with skip_initializers():
            encoder.build()
        return encoder

    def load(self, encoder: TransformerEncoder, head: SpanHead) -> None:
        """Gives an encoder the weights of the checkpoint, and a head too where it has one.

        Raises:
            ValueError: If a tensor is missing, left over or of another shape.
        """
        parts = list(weights.encoder_parts(encoder, self.family))
        if self.has_head:
            parts += weights.head_parts(head, self.family)
        weights.fill(parts, self.tensors, self.names, self.folder)

    def _check_sizes(self, settings: dict[str, Any]) -> None:
        """Compares what costs memory with the tensors, before there is an encoder of that size."""
        names = self.family.names
        width = settings.get("embedding_dim") or settings["hidden_dim"]
        inner = settings["intermediate_dim"] * (2 if settings.get("gated") else 1)
        expected = {
            names["tokens"]: (settings["vocabulary_size"], width),
            f"{names['block'].format(0)}.{names['hidden']}": (inner, settings["hidden_dim"]),
        }
        if settings.get("absolute_positions", True):
            rows = settings["max_length"] + settings.get("position_offset", 0)
            expected[names["positions"]] = (rows, width)
        for name, shape in expected.items():
            tensor = f"{name}.weight"
            if tensor not in self.names:
                raise ValueError(weights.lacks(self.folder, [tensor]))
            if (found := self.tensors.shape(self.names[tensor])) != shape:
                raise ValueError(
                    f"`{self.folder}`: the tensor `{tensor}` has the shape {found}, but "
                    f"`config.json` says {shape}. Get it again."
                )
        blocks = settings.get("num_groups") or settings["num_layers"]
        last = f"{names['block'].format(blocks - 1)}.{names['hidden']}.weight"
        if last not in self.names:
            raise ValueError(weights.lacks(self.folder, [last]))

    def tokenizer(self) -> SubwordTokenizer | None:
        """The tokenizer that lies in the folder, or `None` where there is none.

        Raises:
            ImportError: If a SentencePiece model needs a library that is missing.
            ValueError: If a file is damaged.
        """
        try:
            return SubwordTokenizer.from_file(self.folder)
        except FileNotFoundError:
            return None

    def _settings(self) -> dict[str, Any]:
        config = {**self.family.defaults, **self.config}
        for name, value in self.family.unsupported.items():
            if config[name] != value:
                raise ValueError(
                    f"`{self.folder}` has `{name}={config[name]!r}` in its `config.json`, which is "
                    f"not supported: only `{name}={value!r}` is."
                )
        try:
            settings = self.family.settings(config)
        except ValueError as error:
            raise ValueError(f"`{self.folder}`: {error}.") from None
        except (KeyError, TypeError, IndexError) as error:
            raise ValueError(
                f"The `config.json` of `{self.folder}` cannot be read ({error!r:.100})."
            ) from None
        # Only heads for question answering, and those of its first training, have this layer.
        if settings.get("final_dense"):
            settings["final_dense"] = f"{self.family.names['final_dense']}.weight" in self.names
        return settings


def is_checkpoint(folder: str | os.PathLike[str]) -> bool:
    """Whether a folder has Hugging Face's layout: a `config.json` with a `model_type`."""
    path = pathlib.Path(folder).expanduser()
    return (path / CONFIG).is_file() and "model_type" in read_config(path)


def read_config(folder: pathlib.Path) -> dict[str, Any]:
    """Reads the `config.json` of a folder.

    Raises:
        ValueError: If there is none, or it is damaged.
    """
    file = folder / CONFIG
    if not file.is_file():
        raise ValueError(
            f"`{folder}` holds no `{CONFIG}`. Expected a folder in Hugging Face's layout."
        )
    return read_object(file)
