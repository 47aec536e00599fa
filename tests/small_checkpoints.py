"""The small checkpoints of `tests/checkpoints`, and their logits from `transformers`."""

import json
import pathlib
import shutil

import keras
import numpy as np
from small_tokenizers import wordpiece

FOLDER = pathlib.Path(__file__).parent / "checkpoints"
KINDS = sorted(path.parent.name for path in FOLDER.glob("*/config.json"))
TOLERANCE = 2e-5


def feed(model: keras.Model, kind: str) -> dict[str, np.ndarray]:
    """The inputs of the logits, by the names of a reader's inputs."""
    arrays = np.load(FOLDER / kind / "logits.npz")
    names = {
        "token_ids": "input_ids",
        "segment_ids": "token_type_ids",
        "padding_mask": "attention_mask",
    }
    return {tensor.name: arrays[names[tensor.name]] for tensor in model.inputs}


def differences(model: keras.Model, kind: str) -> list[float]:
    """The largest differences from the logits of `transformers`, without padding."""
    arrays = np.load(FOLDER / kind / "logits.npz")
    logits = model.predict(feed(model, kind), verbose=0)
    there = arrays["attention_mask"] != 0
    return [float(np.abs(logits[n] - arrays[n])[there].max()) for n in ("start", "end")]


def copy(kind: str, folder: pathlib.Path, tokenizer: bool = True, **config: object) -> pathlib.Path:
    """Copies a checkpoint, with a tokenizer and changes of its config."""
    shutil.copytree(FOLDER / kind, folder)
    found = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**found, **config}))
    if tokenizer:
        wordpiece().save(str(folder / "tokenizer.json"))
    return folder
