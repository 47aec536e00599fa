"""Names of models: the presets and the encoders of the package, without Keras."""

from __future__ import annotations

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
