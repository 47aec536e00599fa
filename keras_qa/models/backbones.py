"""Pretrained backbones and their tokenizers, found by name."""

from __future__ import annotations

import os
import pathlib
from typing import TypeAlias

import keras

from keras_qa.layers.composite import DType
from keras_qa.layers.pretrained import keras_hub
from keras_qa.models.pretrained import Checkpoint, find_checkpoint
from keras_qa.text.subwords import FILE, SubwordTokenizer

# A backbone, or where it is; a tokenizer, or its file or folder.
Backbone: TypeAlias = keras.Model | Checkpoint | str | os.PathLike[str]
Tokenizer: TypeAlias = SubwordTokenizer | str | os.PathLike[str]


def find_backbone(backbone: Backbone, dtype: DType = None) -> keras.Model | Checkpoint:
    """Gives a backbone of KerasHub, or a checkpoint in Hugging Face's layout.

    Args:
        backbone: A `keras_hub.models.Backbone`, the name of a KerasHub preset
            or a folder in its layout; a folder in Hugging Face's layout, or
            `hf://owner/name`, with `@revision` or without; or `minilm`.
        dtype: Dtype policy to load one of KerasHub with. `None` for Keras' global policy.

    Returns:
        The backbone, with its weights where its name is given; or the checkpoint.

    Raises:
        ImportError: If a library that is needed is not installed.
        TypeError: If `backbone` is neither.
        ValueError: If nothing can be loaded from there.
    """
    if isinstance(backbone, (keras.Model, Checkpoint)):
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
    tokenizer: Tokenizer | None, backbone: Backbone, found: keras.Model | Checkpoint
) -> SubwordTokenizer | None:
    """Gives the tokenizer of a backbone.

    Args:
        tokenizer: A `SubwordTokenizer`, a `tokenizer.json` or a folder that
            holds one, or `None` to look beside the backbone.
        backbone: As `find_backbone` takes it.
        found: What that gave.

    Returns:
        The tokenizer, or `None` where none is given and the backbone's name
        does not say where it is.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file holds no tokenizer.
    """
    if isinstance(tokenizer, SubwordTokenizer):
        return tokenizer
    if tokenizer is not None:
        return SubwordTokenizer.from_file(tokenizer)
    if isinstance(found, Checkpoint):
        return found.tokenizer()
    if not isinstance(backbone, (str, os.PathLike)):
        return None
    folder = pathlib.Path(backbone).expanduser()
    return SubwordTokenizer.from_file(folder) if (folder / FILE).is_file() else None
