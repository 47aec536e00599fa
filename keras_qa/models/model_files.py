"""Models from files and published checkpoints."""

from __future__ import annotations

import os
import pathlib
import re
from collections.abc import Callable
from typing import Any

import keras

from keras_qa.data.files import check_keras_file
from keras_qa.engine.qa_model import QAModel
from keras_qa.layers.base_layer import skip_initializers
from keras_qa.models.multiple_choice import multiple_choice
from keras_qa.models.pretrained.hub import find_checkpoint
from keras_qa.models.pretrained.weights import check_model_finite
from keras_qa.models.reader import span_reader
from keras_qa.models.text_classifier import text_classifier
from keras_qa.preprocessing.preprocessor import CHOICE, SEQUENCE, SPANS, TOKENS

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


def open_file(path: str | os.PathLike[str], compile: bool = True) -> QAModel:
    """Loads the model of a file that `save` wrote, with its preprocessor."""
    model = load_model(path, compile)
    if not isinstance(model, QAModel) or model.preprocessor is None:
        raise ValueError(
            f"`{path}` holds a model without a preprocessor, which cannot read strings. Load it "
            "with `keras.saving.load_model`, or save a `QuestionAnswerer`."
        )
    return model


def open_published(name: str) -> tuple[QAModel, bool]:
    """Loads a published model, and returns whether it has a head.

    A classifier of tokens or of pairs is one of `text_classifier`.
    """
    checkpoint = find_checkpoint(name)
    if checkpoint is None:
        raise ValueError(
            f"`{name[-150:]}` has no `config.json` with a `model_type`. Expected a reader in "
            "Hugging Face's layout."
        )
    is_ranker = checkpoint.task == SEQUENCE and checkpoint.num_labels == 1
    make: Callable[..., QAModel] = span_reader
    if is_ranker or checkpoint.task == TOKENS:
        make = text_classifier
    elif checkpoint.task == CHOICE:
        make = multiple_choice
    model = make(backbone=checkpoint)
    if model.preprocessor is None:
        use = f"{'Reranker(' if is_ranker else 'QuestionAnswerer(model='}{make.__name__}("
        raise ValueError(
            f"`{name}` has no tokenizer. Put its `tokenizer.json` into the folder, or pass one: "
            f"`{use}backbone=…, tokenizer=…))`."
        )
    return model, checkpoint.has_head(checkpoint.task or SPANS)


def load_model(path: str | os.PathLike[str], compile: bool = True) -> keras.Model:
    """Loads a `.keras` file after checking that it is undamaged and contains no code.

    Otherwise it raises a `ValueError`, and nothing in the file is executed.
    """
    size = check_keras_file(pathlib.Path(path))
    try:
        with skip_initializers(_NUMBERS_PER_BYTE * size):
            model = keras.saving.load_model(path, compile=compile)
        check_model_finite(path, model)
        # A layer that is called by its computed shapes alone may not fit them.
        _Forward(model).compute_output_spec([_with_sizes(item) for item in model.inputs])
        return model
    except _REFUSED as error:
        reason = _reason(error)
        advice = "The file is damaged or forged: save the model again."
        if reason.startswith("Could not locate"):
            advice = "If it has custom layers, import the module that registers them first."
        left = _MOST - len(f"`{path}` cannot be loaded:  {advice}")
        shown = reason if len(reason) <= left else f"{reason[: max(left - 1, 0)]}…"
        raise ValueError(f"`{path}` cannot be loaded: {shown} {advice}") from None


class _Forward(keras.Operation):
    """The computation of a model, which `compute_output_spec` traces without computing it."""

    def __init__(self, model: keras.Model) -> None:
        super().__init__()
        self.model = model

    def call(self, inputs: list[Any]) -> Any:
        return self.model(inputs)


def _with_sizes(inputs: keras.KerasTensor) -> keras.KerasTensor:
    """Returns an input with another size for each axis that has none."""
    shape = [axis + 2 if size is None else size for axis, size in enumerate(inputs.shape)]
    return keras.KerasTensor(shape, inputs.dtype)


def _reason(error: BaseException) -> str:
    """Returns the cause of an error as one line. Keras 3.15 puts it after the whole config."""
    text = str(error).rpartition("Exception encountered: ")[2]
    # Keras 3.15 prints the cause of an error in a layer in bold, on a separate line.
    lines = [" ".join(line.split()) for line in re.sub(r"\x1b\[\d*m", "", text).splitlines()]
    causes = [line for line in lines if line and not line.startswith("Exception encountered when")]
    reason = causes[0] if causes and not isinstance(error, LookupError) else repr(error)
    reason = "".join(letter if letter.isprintable() else "\ufffd" for letter in reason)
    return reason if reason.endswith((".", "…")) else f"{reason}."
