"""Readers that need no training: they come with the package."""

from __future__ import annotations

import os
import pathlib

FOLDER = pathlib.Path(__file__).parent / "ready"

PRESETS = {
    "babi": "answers questions about the small stories of bAbI, all twenty tasks, and says on "
    "which sentences an answer rests",
    "minilm-squad-small": "marks answers in English texts, and says where there is none: LoRA on "
    "the encoder minilm, 8,227 questions of SQuAD",
}


def presets() -> dict[str, str]:
    """Lists the readers that `keras_qa.load` has at once.

    Returns:
        What each is for, by its name. See docs/presets.md for their data, licences, scores and
        limits.

    Examples:
        >>> import keras_qa
        >>> "minilm-squad-small" in keras_qa.presets()
        True
    """
    return dict(PRESETS)


def find_file(path: str | os.PathLike[str]) -> str | os.PathLike[str]:
    """The file that a preset's name stands for; a path where there is one.

    Raises:
        FileNotFoundError: If it is neither.
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
