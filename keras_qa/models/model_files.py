"""Loads `.keras` files after checking that they are undamaged and contain no code."""

from __future__ import annotations

import os
import pathlib
import re

import keras

from keras_qa.files.keras_files import check_keras_file
from keras_qa.layers.zero_initialized import skip_initializers

# Errors of Keras and backends for a malformed config.
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
# Maximum length of a message.
_MOST = 300
# Maximum number of weights for each byte of a file: int4 weights take half a byte.
_NUMBERS_PER_BYTE = 2


def load_model(path: str | os.PathLike[str], compile: bool = True) -> keras.Model:
    """Loads a `.keras` file after checking that it is undamaged and contains no code.

    Otherwise it raises a `ValueError`, and nothing in the file is executed.
    """
    size = check_keras_file(pathlib.Path(path))
    try:
        with skip_initializers(_NUMBERS_PER_BYTE * size):
            return keras.saving.load_model(path, compile=compile)
    except _REFUSED as error:
        reason = _reason(error)
        advice = "The file is damaged or forged: save the model again."
        if reason.startswith("Could not locate"):
            advice = "If it has custom layers, import the module that registers them first."
        left = _MOST - len(f"`{path}` cannot be loaded:  {advice}")
        shown = reason if len(reason) <= left else f"{reason[: max(left - 1, 0)]}…"
        raise ValueError(f"`{path}` cannot be loaded: {shown} {advice}") from None


def _reason(error: BaseException) -> str:
    """Returns the cause of an error as one line. Keras puts it after the whole config."""
    text = str(error).rpartition("Exception encountered: ")[2]
    # Keras prints the cause of an error in a layer in bold, on a separate line.
    lines = [" ".join(line.split()) for line in re.sub(r"\x1b\[\d*m", "", text).splitlines()]
    told = [line for line in lines if line and not line.startswith("Exception encountered when")]
    reason = told[0] if told and not isinstance(error, LookupError) else repr(error)
    reason = "".join(letter if letter.isprintable() else "\ufffd" for letter in reason)
    return reason if reason.endswith((".", "…")) else f"{reason}."
