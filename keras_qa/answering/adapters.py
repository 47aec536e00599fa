"""Adapter files: what LoRA has learned, saved apart from the encoder that it was learned on."""

from __future__ import annotations

import hashlib
import io
import json
import math
import os
import pathlib
import re
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import keras
import numpy as np

from keras_qa import tasks
from keras_qa.answering import building
from keras_qa.files import atomic, json_files, sealed
from keras_qa.layers.zero_initialized import skip_initializers
from keras_qa.models import QAModel, span_reader
from keras_qa.models.pretrained import (
    PACKAGES,
    PREFIX,
    Checkpoint,
    find_checkpoint,
    transformer_of,
)
from keras_qa.models.reader import enable_lora
from keras_qa.tasks import SpanTask
from keras_qa.text import SubwordTokenizer

CONFIG, WEIGHTS = "config.json", "adapter.npz"
VERSION = 1

_DTYPES = ("float32", "float16", "bfloat16", "mixed_float16", "mixed_bfloat16")

# What `numpy.savez` writes before the values of an array.
_HEADER = re.compile(
    rb"\{'descr': '<f([24])', 'fortran_order': (True|False), 'shape': \(([\d, ]*)\), \}\s*"
)


def save(model: QAModel, path: pathlib.Path) -> None:
    """Saves what a reader has learned by LoRA, some megabytes, and which encoder it belongs to.

    The encoder is opened again, to make sure that it and the file give this reader.

    Args:
        model: The reader.
        path: Where to.

    Raises:
        ImportError: If a library that reads checkpoints is not installed.
        ValueError: If the reader was not trained by LoRA, or its encoder was made of no checkpoint,
            cannot be opened, or differs from what was published in more than LoRA.
    """
    encoder = transformer_of(model)
    checkpoint: Mapping[str, Any] = (encoder.settings["checkpoint"] if encoder else None) or {}
    if encoder is None or encoder.lora_rank is None or "_name_or_path" not in checkpoint:
        raise ValueError(
            "Only readers on a published encoder that were trained by LoRA have an adapter: call "
            "`fit(…, lora_rank=16)` first, or `save` the whole reader."
        )
    assert model.task is not None
    name = checkpoint["_name_or_path"]
    config = {
        "keras_qa_adapter": VERSION,
        "backbone": name if _is_portable(name) else pathlib.PurePath(name).name,
        "fingerprint": _fingerprint(model),
        "lora_rank": encoder.lora_rank,
        "dtype": encoder.dtype_policy.name,
        "task": tasks.serialize(model.task),
    }
    # NumPy has no bfloat16.
    values = [
        keras.ops.convert_to_numpy(keras.ops.cast(variable, "float32"))
        for variable in model.trainable_variables
    ]
    if not _rebuilds(model, config, values, name):
        raise ValueError(
            "`save_adapter` needs an encoder that LoRA alone has changed, and this one is not "
            f"`{name[-60:]}`: it was trained in full, quantized, or loaded from a `.keras` file. "
            "Save the whole reader with `save`."
        )
    weights = io.BytesIO()
    np.savez(weights, **{str(place): value for place, value in enumerate(values)})
    with atomic.replacing(path) as partial:
        with zipfile.ZipFile(partial, "w") as archive:
            archive.writestr(CONFIG, json.dumps(config))
            archive.writestr(WEIGHTS, weights.getvalue())
        sealed.seal(partial)


def _rebuilds(
    model: QAModel, config: Mapping[str, Any], values: Sequence[np.ndarray], name: str
) -> bool:
    """Whether an adapter and the encoder of that name give the same reader."""
    try:
        checkpoint = find_checkpoint(name)
    except ValueError as error:
        raise ValueError(
            f"`save_adapter` compares the reader with its encoder `{name[-60:]}`, which cannot be "
            f"opened: {_reason(error, 100)} Save the whole reader with `save`."
        ) from None
    try:
        return checkpoint is not None and _structure(model) == _structure(
            _rebuild(config, _task(config), values, checkpoint)
        )
    except ValueError:
        return False


def is_adapter(path: str | os.PathLike[str]) -> bool:
    """Whether a file is one that `save` wrote."""
    try:
        with zipfile.ZipFile(path) as archive:
            return WEIGHTS in archive.namelist()
    except (OSError, ValueError, zipfile.BadZipFile):
        return False


def load(path: pathlib.Path, backbone: str | os.PathLike[str] | None = None) -> QAModel:
    """Loads the encoder that an adapter belongs to, and what was learned on it.

    Args:
        path: A file that `save` wrote.
        backbone: The encoder: a folder, `hf://owner/name` or a key of `PACKAGES`. `None` for the
            one that the file names; if that is a folder, for the one of this name beside the file.

    Returns:
        The reader.

    Raises:
        ImportError: If a library that reads checkpoints is not installed.
        TypeError: If `backbone` is no name and no path.
        ValueError: If the file is damaged or of a later version, or the encoder is missing or
            another one.
    """
    if backbone is not None and not isinstance(backbone, (str, os.PathLike)):
        raise TypeError(
            f"`backbone` must be the name or the folder of an encoder. Received: {backbone!r:.60} "
            f"(of type {type(backbone).__name__})."
        )
    sealed.verify(path)
    try:
        config, values = _read(path)
    except (KeyError, ValueError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
        raise _refusal(path, error) from None
    try:
        _check(config)
        task = _task(config)
        return _rebuild(config, task, values, _find(path, config["backbone"], backbone))
    except ValueError as error:
        raise _refusal(path, error) from None


def _read(path: pathlib.Path) -> tuple[dict[str, Any], list[np.ndarray]]:
    """The settings and the arrays of a file, which take no more memory than the file."""
    with zipfile.ZipFile(path) as archive:
        config = json_files.parse_object(archive.read(CONFIG), pathlib.Path(CONFIG))
        _check_members([archive.getinfo(WEIGHTS)], path.stat().st_size)
        content = archive.read(WEIGHTS)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = archive.infolist()
        _check_members(members, len(content))
        return config, [
            _array(archive.read(f"{place}.npy"), place) for place in range(len(members))
        ]


def _check_members(members: Sequence[zipfile.ZipInfo], size: int) -> None:
    """Raises if members are compressed or larger than what holds them, as none of `save` is."""
    compressed = any(member.compress_type != zipfile.ZIP_STORED for member in members)
    if compressed or sum(member.file_size for member in members) > size:
        raise ValueError("its weights are compressed, which `save_adapter` never does.")


def _array(content: bytes, place: int) -> np.ndarray:
    start = 10 + int.from_bytes(content[8:10], "little")
    header = _HEADER.fullmatch(content[10:start])
    if content[:8] != b"\x93NUMPY\x01\x00" or header is None:
        raise ValueError(f"its array {place} is not an array of floats as NumPy writes it.")
    shape = tuple(int(size) for size in header[3].replace(b",", b" ").split())
    bytes_a_value = int(header[1])
    if math.prod(shape) * bytes_a_value != len(content) - start:
        raise ValueError(f"its array {place} says the shape {shape}, but holds other values.")
    values = np.frombuffer(content, f"<f{bytes_a_value}", offset=start)
    return values.reshape(shape, order="F" if header[2] == b"True" else "C")


def _check(config: Mapping[str, Any]) -> None:
    """Raises if settings are missing or have other types than `save` writes."""
    version = config.get("keras_qa_adapter")
    if type(version) is not int or version != VERSION:
        raise ValueError(
            f"it is an adapter of version {version!r:.40}, and this keras-qa reads version "
            f"{VERSION}. Install a newer keras-qa, or save the adapter again."
        )
    for name, kind in {"backbone": str, "fingerprint": str, "lora_rank": int, "task": dict}.items():
        if type(config.get(name)) is not kind:
            raise ValueError(
                f"its `{name}` must be of type {kind.__name__}. Received: "
                f"{name}={config.get(name)!r:.60}. Save the adapter again."
            )
    if config["lora_rank"] < 1:
        raise ValueError(
            f"its `lora_rank` must be positive. Received: lora_rank={config['lora_rank']!r:.60}."
        )
    _dtype(config)


def _dtype(config: Mapping[str, Any]) -> str:
    """The name of the dtype policy. Older files hold the policy as Keras serializes it."""
    found = config.get("dtype")
    if isinstance(found, Mapping) and found.get("class_name") == "DTypePolicy":
        inner = found.get("config")
        found = inner.get("name") if isinstance(inner, Mapping) else inner
    if found not in _DTYPES:
        raise ValueError(
            f"its `dtype` must be one of {', '.join(_DTYPES)}. Received: dtype={found!r:.60}."
        )
    return str(found)


def _task(config: Mapping[str, Any]) -> SpanTask:
    try:
        task = tasks.deserialize(config["task"])
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"its `task` cannot be read: {_reason(error, 150)}") from None
    if not isinstance(task, SpanTask) or not isinstance(
        task.vectorizer.tokenizer, SubwordTokenizer
    ):
        raise ValueError("its `task` must mark spans, with the tokenizer of a published encoder.")
    return task


def _find(path: pathlib.Path, name: str, backbone: str | os.PathLike[str] | None) -> Checkpoint:
    """The encoder of an adapter file."""
    if backbone is not None:
        place = os.fspath(backbone)
    elif _is_portable(name) or (os.path.isabs(name) and os.path.isdir(name)):
        # Older files hold the whole path of a folder.
        place = name
    else:
        # Windows' paths take either separator.
        name = pathlib.PureWindowsPath(name).name
        place = str(path.parent / name)
    try:
        checkpoint = find_checkpoint(place)
    except ValueError as error:
        raise ValueError(f"it needs the encoder `{name[-40:]}`: {_reason(error, 130)}") from None
    if checkpoint is None:
        raise ValueError(
            f"it needs the encoder `{name[-40:]}`, which is not at `{place[-36:]}`. Name its "
            'folder: `keras_qa.load(…, backbone="folder/")`.'
        )
    return checkpoint


def _is_portable(name: str) -> bool:
    return name.startswith(PREFIX) or name in PACKAGES


def _rebuild(
    config: Mapping[str, Any], task: SpanTask, values: Sequence[np.ndarray], checkpoint: Checkpoint
) -> QAModel:
    """The reader that an encoder and an adapter give."""
    name, rank = checkpoint.config["_name_or_path"][-60:], config["lora_rank"]
    tokenizer = task.vectorizer.tokenizer
    assert isinstance(tokenizer, SubwordTokenizer)
    with skip_initializers():
        model = span_reader(backbone=checkpoint, tokenizer=tokenizer, dtype=_dtype(config))
        encoder = transformer_of(model)
        assert encoder is not None
        rows_and_columns = sum(sum(layer.kernel.shape) for layer in encoder.lora_layers)
        weights = sum(value.size for value in values)
        if rank * rows_and_columns > weights:
            raise ValueError(
                f"its `lora_rank` is {str(rank)[:20]}, but it holds {weights:,} weights, too few "
                f"for that with the encoder `{name}`."
            )
        enable_lora(encoder, rank)
    building.check_length(model, task.vectorizer.length)
    building.recompile(model, model.optimizer)
    model.task = task
    shapes = [tuple(variable.shape) for variable in model.trainable_variables]
    is_same = shapes == [value.shape for value in values]
    if not is_same or _fingerprint(model) != config["fingerprint"]:
        raise ValueError(
            f"it was trained on another encoder than `{name}` is now. Name the right one by "
            "`backbone`, or train anew."
        )
    for variable, value in zip(model.trainable_variables, values, strict=True):
        variable.assign(value)
    return model


def _structure(model: QAModel) -> list[dict[str, Any]]:
    """The settings of all layers, without those that only training or a file knows."""
    unused = ("checkpoint", "dropout")
    return [
        {name: value for name, value in layer.get_config().items() if name not in unused}
        for layer in model.layers
    ]


def _fingerprint(model: QAModel) -> str:
    """A checksum of the weights that LoRA leaves as they are."""
    digest = hashlib.sha256()
    for value in _frozen(model):
        digest.update(np.ascontiguousarray(value).tobytes())
    return digest.hexdigest()


def _frozen(model: QAModel) -> Iterator[np.ndarray]:
    for variable in model.non_trainable_variables:
        if keras.backend.is_float_dtype(variable.dtype):
            yield keras.ops.convert_to_numpy(keras.ops.cast(variable, "float32"))


def _refusal(path: pathlib.Path, error: Exception) -> ValueError:
    return ValueError(f"`{str(path)[-100:]}` cannot be loaded: {_reason(error, 180)}")


def _reason(error: Exception, length: int) -> str:
    """The first line of an error, short enough for a message of one line."""
    lines = str(error).splitlines()
    return (lines[0] if lines and not isinstance(error, KeyError) else repr(error))[:length]
