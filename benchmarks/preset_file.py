"""Makes a preset of a trained file: smaller weights, with answers that differ little.

python -m benchmarks.preset_file minilm-squad.keras keras_qa/models/ready/minilm-squad.keras

The matrices of an adapter become int8 with a scale for each row, its other weights half precision.
All weights of a whole model become half precision.
"""

import io
import json
import sys
import zipfile

import h5py
import numpy as np

from keras_qa.models.adapters import CONFIG, WEIGHTS

# Arrays with fewer weights, such as heads, are not rounded to int8.
LEAST = 2_000
MODEL_WEIGHTS = "model.weights.h5"


def main(source: str, target: str) -> None:
    """Reads the file `source` and writes the file `target`, for answers in float32."""
    with zipfile.ZipFile(source) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    if WEIGHTS in parts:
        config = json.loads(parts[CONFIG])
        parts[CONFIG] = json.dumps({**config, "dtype": "float32"}).encode("utf-8")
        parts[WEIGHTS] = smaller_adapter(parts[WEIGHTS])
    else:
        parts[MODEL_WEIGHTS] = half(parts[MODEL_WEIGHTS])
    with zipfile.ZipFile(target, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    print(f"{sum(map(len, parts.values())):,} bytes")


def smaller_adapter(content: bytes) -> bytes:
    """Rounds matrices to int8 and other weights to half precision."""
    with np.load(io.BytesIO(content)) as arrays:
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
    return weights.getvalue()


def half(content: bytes) -> bytes:
    """Rounds the weights of a model to half precision."""
    weights = io.BytesIO()
    with h5py.File(io.BytesIO(content)) as before, h5py.File(weights, "w") as after:

        def copy(name: str, found: h5py.Group | h5py.Dataset) -> None:
            if isinstance(found, h5py.Dataset):
                value = found[()]
                is_float = value.dtype == np.float32
                new = after.create_dataset(name, data=value.astype("f2") if is_float else value)
            else:
                new = after.require_group(name)
            new.attrs.update(found.attrs)

        before.visititems(copy)
    return weights.getvalue()


if __name__ == "__main__":
    main(*sys.argv[1:])
