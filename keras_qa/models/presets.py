"""Presets of the package, and models from presets, files and published checkpoints."""

from __future__ import annotations

import os
import pathlib

from keras_qa.models import adapters
from keras_qa.models.base import QAModel
from keras_qa.models.model_files import load_model
from keras_qa.models.pretrained import PREFIX, find_checkpoint
from keras_qa.models.reader import span_reader

FOLDER = pathlib.Path(__file__).parent / "ready"

PRESETS = {
    "babi": "answers questions about the short stories of bAbI, all twenty tasks, with the "
    "sentences that support each answer",
    "minilm-squad-small": "marks answers in English texts, or finds no answer: LoRA on the encoder "
    "minilm, 8,227 questions of SQuAD",
}


def find_file(path: str | os.PathLike[str]) -> str | os.PathLike[str]:
    """Returns the file of a preset by its name, and the path of an existing file unchanged."""
    name = os.fspath(path)
    if os.path.exists(name):
        return path
    if name in PRESETS:
        return FOLDER / f"{name}.keras"
    raise FileNotFoundError(
        f"There is no file `{name}`, and no preset of that name. Expected a `.keras` file, a "
        f"folder, `hf://owner/name`, or one of the presets: {', '.join(PRESETS)}."
    )


def open_model(
    path: str | os.PathLike[str],
    compile: bool = True,
    backbone: str | os.PathLike[str] | None = None,
) -> tuple[QAModel, bool]:
    """Loads a model with its preprocessor, see `keras_qa.load`.

    Returns:
        The model, and whether it is trained: an encoder without a head is not.
    """
    is_published = os.fspath(path).startswith(PREFIX) or os.path.isdir(path)
    if not is_published:
        path = find_file(path)
        if adapters.is_adapter(path):
            return adapters.load(pathlib.Path(path), backbone), True
    if backbone is not None:
        raise ValueError(
            "`backbone` is the encoder of a file that `save_adapter` wrote, but "
            f"`{os.fspath(path)[-150:]}` is not such a file. Leave `backbone` out."
        )
    if is_published:
        return _open_published(os.fspath(path))
    model = load_model(path, compile)
    if not isinstance(model, QAModel) or model.preprocessor is None:
        raise ValueError(
            f"`{path}` holds a model without a preprocessor, which cannot read strings. Load it "
            "with `keras.saving.load_model`, or save a `QuestionAnswerer`."
        )
    return model, True


def _open_published(name: str) -> tuple[QAModel, bool]:
    checkpoint = find_checkpoint(name)
    if checkpoint is None:
        raise ValueError(
            f"`{name}` has no `config.json` with a `model_type`. Expected a reader in Hugging "
            "Face's layout."
        )
    model = span_reader(backbone=checkpoint)
    if model.preprocessor is None:
        raise ValueError(
            f"`{name}` has no tokenizer. Pass one: `QuestionAnswerer(model=span_reader("
            "backbone=…, tokenizer=…))`."
        )
    return model, checkpoint.has_head
