"""Makes a preset of an adapter: matrices in int8, other weights in half precision.

python -m benchmarks.preset_file minilm-squad.keras keras_qa/models/ready/minilm-squad.keras
"""

import io
import json
import sys
import zipfile

import numpy as np

from keras_qa.models.adapters import CONFIG, WEIGHTS

# Arrays with fewer weights, such as heads, are not rounded to int8.
LEAST = 2_000


def main(source: str, target: str) -> None:
    """Reads the file `source` and writes the file `target`, for answers in float32."""
    with zipfile.ZipFile(source) as archive:
        config = json.loads(archive.read(CONFIG))
        with np.load(io.BytesIO(archive.read(WEIGHTS))) as arrays:
            values = [arrays[str(place)] for place in range(len(arrays.files))]
    parts: list[np.ndarray] = []
    for value in values:
        if value.ndim == 2 and value.size >= LEAST:
            scales = (np.abs(value).max(axis=1, keepdims=True) / 127 + 1e-9).astype("float16")
            parts += [np.rint(value / scales).clip(-127, 127).astype("int8"), scales]
        else:
            parts.append(value.astype("float16"))
    weights = io.BytesIO()
    np.savez(weights, **{str(place): part for place, part in enumerate(parts)})
    with zipfile.ZipFile(target, "w") as archive:
        archive.writestr(CONFIG, json.dumps({**config, "dtype": "float32"}))
        archive.writestr(WEIGHTS, weights.getvalue())
    print(f"{sum(map(np.size, values)):,} weights in {sum(part.nbytes for part in parts):,} bytes")


if __name__ == "__main__":
    main(*sys.argv[1:])
