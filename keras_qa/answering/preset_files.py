"""Presets: trained readers that come with the package."""

from __future__ import annotations

import os
import pathlib

FOLDER = pathlib.Path(__file__).parent / "ready"

PRESETS = {
    "babi": "answers questions about the short stories of bAbI, all twenty tasks, with the "
    "sentences that support each answer",
    "minilm-squad-small": "marks answers in English texts, or finds no answer: LoRA on the encoder "
    "minilm, 8,227 questions of SQuAD",
}


def presets() -> dict[str, str]:
    """Lists the presets of `keras_qa.load`.

    Returns:
        A description of each preset by its name. See docs/presets.md for their data, licences,
        scores and limits.

    Examples:
        >>> import keras_qa
        >>> "minilm-squad-small" in keras_qa.presets()
        True
    """
    return dict(PRESETS)


def find_file(path: str | os.PathLike[str]) -> str | os.PathLike[str]:
    """Returns the file of a preset by its name. The path of an existing file is returned as it is.

    Raises:
        FileNotFoundError: If there is no such file or preset.
    """
    name = os.fspath(path)
    if os.path.exists(name):
        return path
    if name in PRESETS:
        return FOLDER / f"{name}.keras"
    raise FileNotFoundError(
        f"There is no file `{name}`, and no preset of that name. Expected a `.keras` file, a "
        f"folder, `hf://owner/name`, or one of the presets: {', '.join(PRESETS)}."
    )
