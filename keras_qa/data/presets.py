"""Names of models: the presets and the encoders of the package, without Keras."""

from __future__ import annotations

import difflib
import os
import pathlib

FOLDER = pathlib.Path(__file__).parents[1] / "models" / "ready"

# A name with this prefix is a repository of the Hugging Face Hub.
PREFIX = "hf://"
# The folders of the encoders in this package, by their names.
ENCODERS = {"minilm": FOLDER / "minilm"}

PRESETS = {
    "babi": "answers questions about the short stories of bAbI, all twenty tasks, with the "
    "sentences that support each answer",
    "minilm-embed": "turns English texts into vectors for search by meaning: the encoder minilm",
    "minilm-rerank": "sorts English texts by how well they answer a question: LoRA on the encoder "
    "minilm",
    "minilm-squad": "marks answers in English texts, or finds no answer: LoRA on the encoder "
    "minilm, 44,858 questions on Wikipedia, product reviews and search queries",
    "minilm-verify": "scores how well English texts support a claim: LoRA on the encoder minilm",
}

# Presets that are not answerers: `keras_qa.load` knows their classes.
EMBEDDERS = {"minilm-embed": "minilm"}


def check_name(name: str) -> None:
    """Raises a `FileNotFoundError` if nothing has this name: no file, repository, or preset."""
    if name in PRESETS or name in ENCODERS or name.startswith(PREFIX) or os.path.exists(name):
        return
    near = difflib.get_close_matches(name, [*PRESETS, *ENCODERS], 1)
    raise FileNotFoundError(
        f"There is no file `{name[-100:]}`, and no preset of that name. Expected a `.keras` file, "
        f"a folder, `hf://owner/name`, or one of the presets: {', '.join(PRESETS)}."
        + "".join(f" The nearest name is `{name}`." for name in near)
    )
