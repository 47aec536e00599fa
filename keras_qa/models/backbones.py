"""Pretrained backbones and their tokenizers, found by name."""

from __future__ import annotations

import os
import pathlib
from typing import TypeAlias

import keras

from keras_qa.layers.options import DType
from keras_qa.layers.pretrained import keras_hub
from keras_qa.text.subwords import FILE, SubwordTokenizer

HUGGING_FACE = "hf://"

# A backbone, or where it is; a tokenizer, or its file or folder.
Backbone: TypeAlias = keras.Model | str | os.PathLike[str]
Tokenizer: TypeAlias = SubwordTokenizer | str | os.PathLike[str]


def load_backbone(backbone: Backbone, dtype: DType = None) -> keras.Model:
    """Gives a backbone, loaded with its weights where its name is given.

    Args:
        backbone: A `keras_hub.models.Backbone`, the name of a KerasHub preset,
            a local folder in KerasHub's or Hugging Face's layout, or
            `hf://…`.
        dtype: Dtype policy to load it with. `None` for Keras' global policy.

    Returns:
        The backbone.

    Raises:
        ImportError: If KerasHub is not installed.
        TypeError: If `backbone` is neither.
        ValueError: If nothing can be loaded from there.
    """
    if isinstance(backbone, keras.Model):
        return backbone
    if not isinstance(backbone, (str, os.PathLike)):
        raise TypeError(
            "`backbone` must be a `keras_hub.models.Backbone`, or the name of a preset or a "
            f"folder. Received: {backbone!r} (of type {type(backbone).__name__})."
        )
    hub = keras_hub()
    options = {} if dtype is None else {"dtype": dtype}
    name = os.fspath(backbone)
    try:
        return hub.models.Backbone.from_preset(name, **options)
    except (ValueError, OSError, KeyError) as error:
        reason = (str(error).strip() or repr(error)).splitlines()[0][:300]
        if isinstance(error, KeyError):
            reason = f"KerasHub finds no {reason} in it."
        raise ValueError(
            f"`backbone` cannot be loaded: {reason} Expected the name of a KerasHub preset, a "
            f"folder with `config.json` and weights, or `hf://…`. Received: backbone={name!r}."
        ) from error


def load_tokenizer(tokenizer: Tokenizer | None, backbone: Backbone) -> SubwordTokenizer | None:
    """Gives the tokenizer of a backbone.

    Args:
        tokenizer: A `SubwordTokenizer`, a `tokenizer.json` or a folder that
            holds it, or `None` to look beside the backbone.
        backbone: As `load_backbone` takes it.

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
    if not isinstance(backbone, (str, os.PathLike)):
        return None
    name = os.fspath(backbone)
    if name.startswith(HUGGING_FACE):
        import huggingface_hub

        file = huggingface_hub.hf_hub_download(name.removeprefix(HUGGING_FACE), FILE)
        return SubwordTokenizer.from_file(file)
    folder = pathlib.Path(name).expanduser()
    return SubwordTokenizer.from_file(folder) if (folder / FILE).is_file() else None
