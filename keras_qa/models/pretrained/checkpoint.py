"""Checkpoints in Hugging Face's layout: an encoder and its head."""

from __future__ import annotations

import dataclasses
import os
import pathlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from keras_qa._arguments import read_object, to_integer
from keras_qa.layers import SpanHead, TransformerEncoder
from keras_qa.layers.base_layer import DType, skip_initializers
from keras_qa.layers.classification_head import ClassificationHead
from keras_qa.models.pretrained import weights
from keras_qa.models.pretrained.albert import ALBERT
from keras_qa.models.pretrained.bert import BERT, ELECTRA, ROBERTA
from keras_qa.models.pretrained.checkpoint_tensors import Tensors
from keras_qa.models.pretrained.deberta import DEBERTA
from keras_qa.models.pretrained.distilbert import DISTILBERT
from keras_qa.models.pretrained.family import Config, Family
from keras_qa.models.pretrained.modernbert import MODERNBERT
from keras_qa.models.pretrained.mpnet import MPNET
from keras_qa.preprocessing.preprocessor import CHOICE, SPANS, TASKS
from keras_qa.text import SubwordTokenizer

CONFIG = "config.json"

# The families by the `model_type` of `config.json`.
FAMILIES: dict[str, Family] = {
    "albert": ALBERT,
    "bert": BERT,
    "camembert": dataclasses.replace(ROBERTA, architecture="Camembert"),
    "deberta-v2": DEBERTA,
    "distilbert": DISTILBERT,
    "electra": ELECTRA,
    "modernbert": MODERNBERT,
    "mpnet": MPNET,
    "roberta": ROBERTA,
    "xlm-roberta": dataclasses.replace(ROBERTA, architecture="XLMRoberta"),
}

# An encoder may have so many times the numbers of the tensors, some of which may be missing.
_MAX_EXCESS = 2

# Suffixes of architectures with heads that are not supported.
_OTHER_TASKS = ("ForNextSentencePrediction", "ForImageClassification")


class PretrainedCheckpoint:
    """A folder with a published encoder, with or without a head.

    `task` is that of its head, a key of `TASKS`; `None` for an encoder only.
    """

    def __init__(self, folder: str | os.PathLike[str], name: str | None = None) -> None:
        self.folder = pathlib.Path(os.path.expanduser(folder))
        self.config = {
            **read_config(self.folder),
            "_name_or_path": name or str(self.folder.resolve()),
        }
        kind = self.config.get("model_type")
        if kind not in FAMILIES:
            raise ValueError(
                f"`{self.folder}` has a model of the unknown family {kind!r:.60}. The known "
                f"families are {', '.join(FAMILIES)}."
            )
        self.architecture = str(next(iter(self.config.get("architectures") or ()), ""))
        suffixes = TASKS.items()
        self.task = next((task for task, end in suffixes if self.architecture.endswith(end)), None)
        self.family: Family = FAMILIES[kind]
        self.tensors = Tensors(self.folder)
        self.names = weights.Names(self.tensors, self.family)

    @property
    def num_labels(self) -> int:
        """Number of labels of a head for classification, by the config."""
        labels = self.config.get("id2label")
        number = len(labels) if isinstance(labels, dict) else self.config.get("num_labels", 2)
        return to_integer("num_labels", number)

    def has_head(self, task: str) -> bool:
        """Whether it has a head for a task."""
        logits = f"{self.family.head(task).logits}.weight"
        return self.task in (task, None) and logits in self.names

    def encoder(self, dtype: DType = None, name: str = "backbone") -> TransformerEncoder:
        """Creates the encoder of a span reader with weights of 0. `load` sets them."""
        self._check_task(SPANS)
        settings = self._settings()
        self._read(self.family.head(SPANS).settings)
        return self._encoder(settings, self.config, {}, dtype, name)

    def classifier(
        self, task: str, num_labels: int, dtype: DType = None
    ) -> tuple[TransformerEncoder, ClassificationHead]:
        """Creates the encoder and the head of a classifier. `load` sets the encoder's weights.

        The head has initial weights, which `load` replaces by those that the checkpoint has.
        """
        self._check_task(task)
        settings = {**self._settings(), "final_dense": False}
        head, width = self.family.head(task), settings["hidden_dim"]
        options = {"hidden_dim": width if head.dense else None, **self._read(head.settings)}
        config = {**self.config, "architectures": [f"{self.family.architecture}{TASKS[task]}"]}
        is_own = self.task == task or self.has_head(task)
        shapes = {head.logits: (num_labels, width)} if is_own else {}
        if task != CHOICE and num_labels != self.num_labels:
            config.pop("num_labels", None)
            config["id2label"] = {str(label): f"LABEL_{label}" for label in range(num_labels)}
            config["label2id"] = {f"LABEL_{label}": label for label in range(num_labels)}
        encoder = self._encoder(settings, config, shapes, dtype, "backbone")
        layer = ClassificationHead(num_labels, **options, dtype=dtype, name="logits")
        layer.build((None, None, width))
        return encoder, layer

    def load(
        self, encoder: TransformerEncoder, head: SpanHead | ClassificationHead, task: str
    ) -> None:
        """Loads the weights of an encoder, and those of a head that the checkpoint has."""
        parts = list(weights.encoder_parts(encoder, self.family))
        whole = self.has_head(task)
        for part in weights.head_parts(head, self.family.head(task)):
            # An encoder only may have a pooler, but no logits.
            if whole or (self.task is None and all(name in self.names for name in part.names)):
                parts.append(part)
        weights.fill(parts, self.tensors, self.names, self.folder)

    def _encoder(
        self,
        settings: dict[str, Any],
        config: dict[str, Any],
        shapes: dict[str, tuple[int, int]],
        dtype: DType,
        name: str,
    ) -> TransformerEncoder:
        self._check_sizes(settings, shapes)
        encoder = TransformerEncoder(**settings, checkpoint=config, dtype=dtype, name=name)
        try:
            with skip_initializers(_MAX_EXCESS * self.tensors.size):
                encoder.build()
        except ValueError as error:
            raise ValueError(f"`{self.folder}`: {error}") from None
        return encoder

    def _check_task(self, task: str) -> None:
        if self.task not in (task, None) or self.architecture.endswith(_OTHER_TASKS):
            raise ValueError(
                f"`{self.folder}` has a {self.architecture}: a model for another task. Use a "
                f"checkpoint for {task.replace('_', ' ')}, or of the encoder only."
            )

    def lora_kernels(self, encoder: TransformerEncoder) -> Iterator[np.ndarray]:
        """Yields the kernels of `encoder.lora_layers` as the checkpoint has them.

        The dtype of the encoder does not round them.
        """
        parts = {
            part.layer: part
            for part in weights.encoder_parts(encoder, self.family)
            if part.weight == "kernel"
        }
        for layer in encoder.lora_layers:
            yield weights.read(parts[layer], self.tensors, self.names)

    def _check_sizes(self, settings: dict[str, Any], shapes: dict[str, tuple[int, int]]) -> None:
        """Compares the config, and other shapes, with tensors, before memory is allocated."""
        names = self.family.names
        width = settings.get("embedding_dim") or settings["hidden_dim"]
        inner = settings["intermediate_dim"] * (2 if settings.get("gated") else 1)
        expected = {
            **shapes,
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
            if (actual := self.tensors.shape(self.names[tensor])) != shape:
                raise ValueError(
                    f"`{self.folder}`: the tensor `{tensor}` has the shape {actual}, but "
                    f"`config.json` says {shape}. Get it again, or leave `num_labels` out."
                )
        blocks = settings.get("num_groups") or settings["num_layers"]
        last = f"{names['block'].format(blocks - 1)}.{names['hidden']}.weight"
        if last not in self.names:
            raise ValueError(weights.lacks(self.folder, [last]))

    def tokenizer(self) -> SubwordTokenizer | None:
        """Returns the tokenizer in the folder, or `None`."""
        try:
            return SubwordTokenizer.from_file(self.folder)
        except FileNotFoundError:
            return None

    @property
    def max_length(self) -> int | None:
        """The `model_max_length` in `tokenizer_config.json`, or `None`."""
        file = self.folder / "tokenizer_config.json"
        length = read_object(file).get("model_max_length") if file.is_file() else None
        # `transformers` writes 1e30 for no limit.
        return length if isinstance(length, int) and length > 0 else None

    def _settings(self) -> dict[str, Any]:
        config = {**self.family.defaults, **self.config}
        for name, value in self.family.unsupported.items():
            if config[name] != value:
                raise ValueError(
                    f"`{self.folder}` has `{name}={config[name]!r}` in its `config.json`, which is "
                    f"not supported: only `{name}={value!r}` is."
                )
        settings = self._read(self.family.settings)
        # Checkpoints of the encoder only lack this layer.
        if settings.get("final_dense"):
            settings["final_dense"] = f"{self.family.names['final_dense']}.weight" in self.names
        return settings

    def _read(self, settings: Callable[[Config], dict[str, Any]]) -> dict[str, Any]:
        """Calls a function of the family with the config. Raises if that is not supported."""
        try:
            return settings({**self.family.defaults, **self.config})
        except ValueError as error:
            raise ValueError(f"`{self.folder}`: {error}.") from None
        except (KeyError, TypeError, IndexError) as error:
            raise ValueError(
                f"The `config.json` of `{self.folder}` cannot be read ({error!r:.100})."
            ) from None


def is_checkpoint(folder: str | os.PathLike[str]) -> bool:
    """Whether a folder has Hugging Face's layout: a `config.json` with a `model_type`."""
    path = pathlib.Path(os.path.expanduser(folder))
    return os.path.isfile(path / CONFIG) and "model_type" in read_config(path)


def read_config(folder: pathlib.Path) -> dict[str, Any]:
    """Reads the `config.json` of a folder."""
    file = folder / CONFIG
    # Not `file.is_file()`, which raises an error for a name that is too long.
    if not os.path.isfile(file):
        raise ValueError(
            f"`{str(folder)[-150:]}` has no `{CONFIG}`. Expected a folder in Hugging Face's layout."
        )
    return read_object(file)
