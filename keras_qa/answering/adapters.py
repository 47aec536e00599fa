"""What LoRA has learned, saved apart from the encoder that it was learned on."""

from __future__ import annotations

import hashlib
import io
import json
import os
import pathlib
import zipfile
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from keras_qa import tasks
from keras_qa.files import atomic, sealed
from keras_qa.models import QAModel, span_reader
from keras_qa.models.pretrained import transformer_of

CONFIG, WEIGHTS = "config.json", "adapter.npz"


def save(model: QAModel, path: pathlib.Path) -> None:
    """Saves what a reader has learned by LoRA, some megabytes, and which encoder it belongs to.

    Args:
        model: The reader.
        path: Where to.

    Raises:
        ValueError: If the reader was not trained by LoRA, or its encoder was made of no checkpoint.
    """
    encoder = transformer_of(model)
    checkpoint: Mapping[str, Any] = (encoder.settings["checkpoint"] if encoder else None) or {}
    if encoder is None or encoder.lora_rank is None or "_name_or_path" not in checkpoint:
        raise ValueError(
            "Only readers on a published encoder that were trained by LoRA have an adapter: call "
            "`fit(…, lora_rank=16)` first, or `save` the whole reader."
        )
    assert model.task is not None
    config = {
        "keras_qa_adapter": 1,
        "backbone": checkpoint["_name_or_path"],
        "fingerprint": _fingerprint(model),
        "lora_rank": encoder.lora_rank,
        "dtype": keras.dtype_policies.serialize(encoder.dtype_policy),
        "task": tasks.serialize(model.task),
    }
    values = [keras.ops.convert_to_numpy(v) for v in model.trainable_variables]
    weights = io.BytesIO()
    np.savez(weights, **{str(place): value for place, value in enumerate(values)})
    with atomic.replacing(path) as partial:
        with zipfile.ZipFile(partial, "w") as archive:
            archive.writestr(CONFIG, json.dumps(config))
            archive.writestr(WEIGHTS, weights.getvalue())
        sealed.seal(partial)


def is_adapter(path: str | os.PathLike[str]) -> bool:
    """Whether a file is one that `save` wrote."""
    try:
        with zipfile.ZipFile(path) as archive:
            return WEIGHTS in archive.namelist()
    except (OSError, zipfile.BadZipFile):
        return False


def load(path: pathlib.Path) -> QAModel:
    """Loads the encoder that an adapter belongs to, and what was learned on it.

    Args:
        path: A file that `save` wrote.

    Returns:
        The reader.

    Raises:
        ImportError: If a library that reads checkpoints is not installed.
        ValueError: If the file is damaged, or the encoder is not there or another one.
    """
    sealed.verify(path)
    with zipfile.ZipFile(path) as archive:
        config = json.loads(archive.read(CONFIG))
        # Pickles are refused, as by default.
        arrays = np.load(io.BytesIO(archive.read(WEIGHTS)))
        values = [arrays[str(place)] for place in range(len(arrays.files))]
    name = config["backbone"]
    try:
        model = span_reader(
            backbone=name,
            lora_rank=config["lora_rank"],
            dtype=keras.dtype_policies.get(config["dtype"]),
        )
    except ValueError as error:
        raise ValueError(f"`{path}` needs the encoder `{name}`: {error}") from None
    model.task = tasks.deserialize(config["task"])
    shapes = [tuple(variable.shape) for variable in model.trainable_variables]
    if _fingerprint(model) != config["fingerprint"] or shapes != [v.shape for v in values]:
        raise ValueError(
            f"`{path}` was trained on another encoder than `{name}` is now. Load the one that it "
            "was trained on, or train anew."
        )
    for variable, value in zip(model.trainable_variables, values, strict=True):
        variable.assign(value)
    return model


def _fingerprint(model: QAModel) -> str:
    """A checksum of what LoRA leaves as it is."""
    digest = hashlib.sha256()
    for variable in model.non_trainable_variables:
        if keras.backend.is_float_dtype(variable.dtype):
            value = keras.ops.convert_to_numpy(keras.ops.cast(variable, "float32"))
            digest.update(np.ascontiguousarray(value).tobytes())
    return digest.hexdigest()
