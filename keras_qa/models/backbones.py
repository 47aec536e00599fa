"""Finds pretrained backbones and their tokenizers by name."""

from __future__ import annotations

import os
import pathlib
from typing import TypeAlias

import keras

from keras_qa.layers.composite import DType
from keras_qa.layers.pretrained import keras_hub
from keras_qa.models.pretrained import PretrainedCheckpoint, find_checkpoint
from keras_qa.text.subwords import FILE, SubwordTokenizer

# A backbone or its name; a tokenizer or its file or folder.
Backbone: TypeAlias = keras.Model | PretrainedCheckpoint | str | os.PathLike[str]
Tokenizer: TypeAlias = SubwordTokenizer | str | os.PathLike[str]


def find_backbone(backbone: Backbone, dtype: DType = None) -> keras.Model | PretrainedCheckpoint:
    """Returns a KerasHub backbone with its weights, or a checkpoint in Hugging Face's layout."""
    if isinstance(backbone, (keras.Model, PretrainedCheckpoint)):
        return backbone
    if not isinstance(backbone, (str, os.PathLike)):
        raise TypeError(
            "`backbone` must be a `keras_hub.models.Backbone`, or the name of a preset or a "
            f"folder. Received: {backbone!r} (of type {type(backbone).__name__})."
        )
    name = os.fspath(backbone)
    if (checkpoint := find_checkpoint(name)) is not None:
        return checkpoint
    hub = keras_hub()
    options = {} if dtype is None else {"dtype": dtype}
    try:
        return hub.models.Backbone.from_preset(name, **options)
    except (ValueError, OSError) as error:
        reason = (str(error).strip() or repr(error)).splitlines()[0][:300]
        raise ValueError(
            f"`backbone` cannot be loaded: {reason} Expected the name of a KerasHub preset, a "
            f"folder with `config.json` and weights, or `hf://…`. Received: backbone={name!r}."
        ) from error


def load_tokenizer(
    tokenizer: Tokenizer | None, backbone: Backbone, found: keras.Model | PretrainedCheckpoint
) -> SubwordTokenizer | None:
    """Returns the tokenizer of a backbone that `find_backbone` found, or `None`."""
    if isinstance(tokenizer, SubwordTokenizer):
        return tokenizer
    if tokenizer is not None:
        return SubwordTokenizer.from_file(tokenizer)
    if isinstance(found, PretrainedCheckpoint):
        return found.tokenizer()
    if not isinstance(backbone, (str, os.PathLike)):
        return None
    folder = pathlib.Path(backbone).expanduser()
    return SubwordTokenizer.from_file(folder) if (folder / FILE).is_file() else None
