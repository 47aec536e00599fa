"""Makes a preset of an adapter: weights in half precision, for answers in float32.

python -m benchmarks.preset_file minilm-squad.keras keras_qa/models/ready/minilm-squad.keras
"""

import io
import json
import sys
import zipfile

import numpy as np

from keras_qa.models.adapters import CONFIG, WEIGHTS


def main(source: str, target: str) -> None:
    """Reads the file `source` and writes the file `target`."""
    with zipfile.ZipFile(source) as archive:
        config = json.loads(archive.read(CONFIG))
        with np.load(io.BytesIO(archive.read(WEIGHTS))) as arrays:
            halves = {name: arrays[name].astype("float16") for name in arrays.files}
    weights = io.BytesIO()
    np.savez(weights, **halves)
    with zipfile.ZipFile(target, "w") as archive:
        archive.writestr(CONFIG, json.dumps({**config, "dtype": "float32"}))
        archive.writestr(WEIGHTS, weights.getvalue())
    print(f"{len(halves)} arrays, {sum(map(np.size, halves.values())):,} weights")


if __name__ == "__main__":
    main(*sys.argv[1:])
