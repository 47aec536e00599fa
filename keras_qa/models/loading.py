"""Loads `.keras` files that were found whole and free of code."""

from __future__ import annotations

import os
import pathlib
import re

import keras

from keras_qa.files import sealed
from keras_qa.layers.zero_initialized import skip_initializers

# What Keras and a backend raise if a config is not one that they wrote.
_REFUSED = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    MemoryError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
)
# Most characters of a message.
_MOST = 300
# Numbers for each byte of a file's weights: quantized weights take half a byte each.
_NUMBERS_PER_BYTE = 2


def load_model(path: str | os.PathLike[str], compile: bool = True) -> keras.Model:
    """Loads a `.keras` file, once it has been found whole and free of code.

    Args:
        path: A file that `QuestionAnswerer.save` or `Model.save` wrote.
        compile: As in `keras.saving.load_model`.

    Returns:
        The `keras.Model`.

    Raises:
        ValueError: If the file is damaged, is no `.keras` file, holds code such as a `Lambda`
            layer, or has a config that no model can be made of. Nothing in it has been executed
            then.
    """
    size = sealed.verify(pathlib.Path(path))
    try:
        with skip_initializers(_NUMBERS_PER_BYTE * size):
            return keras.saving.load_model(path, compile=compile)
    except _REFUSED as error:
        reason = _reason(error)
        advice = "It is damaged, or made up: save the model again."
        if reason.startswith("Could not locate"):
            advice = "If it holds layers of your own, import the module that registers them first."
        left = _MOST - len(f"`{path}` cannot be loaded:  {advice}")
        shown = reason if len(reason) <= left else f"{reason[: max(left - 1, 0)]}…"
        raise ValueError(f"`{path}` cannot be loaded: {shown} {advice}") from None


def _reason(error: BaseException) -> str:
    """The cause that Keras puts last, behind the whole config, as one line."""
    text = str(error).rpartition("Exception encountered: ")[2]
    # Keras prints the cause of an error in a layer in bold, in a line of its own.
    lines = [" ".join(line.split()) for line in re.sub(r"\x1b\[\d*m", "", text).splitlines()]
    told = [line for line in lines if line and not line.startswith("Exception encountered when")]
    reason = told[0] if told and not isinstance(error, LookupError) else repr(error)
    reason = "".join(letter if letter.isprintable() else "\ufffd" for letter in reason)
    return reason if reason.endswith((".", "…")) else f"{reason}."
