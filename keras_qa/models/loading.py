"""Loads `.keras` files that were found whole and free of code."""

from __future__ import annotations

import os
import pathlib

import keras

from keras_qa.files import sealed
from keras_qa.layers.initial import weights_follow


def load_model(path: str | os.PathLike[str], compile: bool = True) -> keras.Model:
    """Loads a `.keras` file, once it has been found whole and free of code.

    Args:
        path: A file that `QuestionAnswerer.save` or `Model.save` wrote.
        compile: As in `keras.saving.load_model`.

    Returns:
        The `keras.Model`.

    Raises:
        ValueError: If the file is damaged, is no `.keras` file, or holds code
            such as a `Lambda` layer. Nothing in it has been executed then.
    """
    sealed.verify(pathlib.Path(path))
    try:
        with weights_follow():
            return keras.saving.load_model(path, compile=compile)
    except (TypeError, ValueError, KeyError, OSError) as error:
        # Keras puts the cause last, behind the whole config.
        cause = str(error).rpartition("Exception encountered: ")[2].strip() or repr(error)
        reason = cause.splitlines()[0][:300]
        raise ValueError(
            f"`{path}` cannot be loaded: {reason} "
            "If it holds layers of your own, import the module that registers them first."
        ) from None
