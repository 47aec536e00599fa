"""Adapter files: the weights that LoRA trained, without the encoder."""

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
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import keras
import numpy as np

from keras_qa._arguments import check_choice, entry, first_line, parse_object, to_integer
from keras_qa.data.files import check_keras_file, replace_atomically
from keras_qa.data.presets import ENCODERS, PREFIX
from keras_qa.engine.qa_model import QAModel
from keras_qa.layers import TransformerEncoder
from keras_qa.layers.base_layer import skip_initializers
from keras_qa.layers.classification_head import transformer_of
from keras_qa.models.pretrained.checkpoint import PretrainedCheckpoint
from keras_qa.models.pretrained.hub import find_checkpoint
from keras_qa.models.pretrained.weights import check_model_finite
from keras_qa.models.reader import enable_lora, span_reader
from keras_qa.models.text_classifier import text_classifier
from keras_qa.preprocessing.preprocessor import SEQUENCE, Preprocessor, deserialize, serialize
from keras_qa.preprocessing.span_preprocessor import check_windows
from keras_qa.text import SubwordTokenizer

CONFIG, WEIGHTS = "config.json", "adapter.npz"
VERSION = 1

_DTYPES = ("float32", "float16", "bfloat16", "mixed_float16", "mixed_bfloat16")

# The header that `numpy.savez` writes before the values of an array.
_HEADER = re.compile(
    rb"\{'descr': '(<f2|<f4|\|i1)', 'fortran_order': (True|False), 'shape': \(([\d, ]*)\), \}\s*"
)


def save(model: QAModel, path: pathlib.Path) -> None:
    """Saves the weights that LoRA trained, some megabytes, and the name of their encoder.

    To check that the file and the encoder make the same model, the encoder is loaded again.
    """
    encoder = transformer_of(model)
    checkpoint: Mapping[str, Any] = (encoder.settings["checkpoint"] if encoder else None) or {}
    preprocessor = model.preprocessor
    if (
        encoder is None
        or encoder.lora_rank is None
        or preprocessor is None
        or preprocessor.name not in _MAKERS
        or "_name_or_path" not in checkpoint
    ):
        raise ValueError(
            "Only models on a published encoder that were trained with LoRA have an adapter, and "
            "loading a file merges LoRA into the encoder. Load the encoder and call "
            "`fit(…, lora_rank=16)`, or save the whole reader with `save`."
        )
    name = checkpoint["_name_or_path"]
    config = {
        "keras_qa_adapter": VERSION,
        "backbone": name if _is_portable(name) else pathlib.PurePath(name).name,
        "fingerprint": _fingerprint(model),
        "lora_rank": encoder.lora_rank,
        "dtype": encoder.dtype_policy.name,
        "preprocessor": serialize(preprocessor),
    }
    # NumPy has no bfloat16.
    values = [
        keras.ops.convert_to_numpy(keras.ops.cast(variable, "float32"))
        for variable in _trained(model)
    ]
    if not _rebuilds(model, config, values, name):
        raise ValueError(
            f"`save_adapter` needs the encoder `{name[-60:]}` without changes except LoRA, but it "
            "was trained in full, quantized, or loaded from a `.keras` file, which merges LoRA. "
            "Save the whole model with `save`."
        )
    weights = io.BytesIO()
    np.savez(weights, **{str(index): value for index, value in enumerate(values)})
    with replace_atomically(path) as partial, zipfile.ZipFile(partial, "w") as archive:
        archive.writestr(CONFIG, json.dumps(config))
        archive.writestr(WEIGHTS, weights.getvalue())


def _rebuilds(
    model: QAModel, config: Mapping[str, Any], values: Sequence[np.ndarray], name: str
) -> bool:
    """Whether an adapter and the encoder of this name make the same model."""
    try:
        checkpoint = find_checkpoint(name)
    except ValueError as error:
        raise ValueError(
            f"`save_adapter` compares the model with its encoder `{name[-60:]}`, which cannot be "
            f"opened: {first_line(error, 100)} Save the whole model with `save`."
        ) from None
    if checkpoint is None:
        return False
    try:
        # In a file, tuples are lists.
        preprocessor = _check(json.loads(json.dumps(config)))
        other = _build(config, preprocessor, values, checkpoint)
    except ValueError:
        return False
    with skip_initializers():
        enable_lora(transformer_of(other), config["lora_rank"])
    return _structure(model) == _structure(other)


def load(
    path: pathlib.Path,
    backbone: str | os.PathLike[str] | None = None,
    lora_rank: int | None = None,
) -> QAModel:
    """Loads an adapter, and merges its LoRA matrices into the kernels of its encoder.

    `backbone` is the encoder: a folder, `hf://owner/name` or a key of `ENCODERS`; `None` for the
    one that the file names, which may be a folder next to the file. With `lora_rank`, the rank of
    the adapter, nothing is merged, so that the matrices can be trained further.
    """
    if backbone is not None and not isinstance(backbone, (str, os.PathLike)):
        raise TypeError(
            f"`backbone` must be the name or the folder of an encoder. Received: {backbone!r:.60} "
            f"(of type {type(backbone).__name__})."
        )
    check_keras_file(path)
    try:
        config, values = _read(path)
        preprocessor = _check(config)
        checkpoint = _find_encoder(path, config["backbone"], backbone)
        model = _build(config, preprocessor, values, checkpoint)
    except (KeyError, ValueError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
        reason = first_line(error, 180)
        raise ValueError(f"`{str(path)[-100:]}` cannot be loaded: {reason}") from None
    if lora_rank is None:
        _merge(model, values, checkpoint)
    elif lora_rank == config["lora_rank"]:
        enable_lora(_encoder(model), lora_rank)
        for variable, value in zip(_trained(model), values, strict=True):
            variable.assign(value)
    else:
        raise ValueError(
            f"`lora_rank` must be {config['lora_rank']}, that of the adapter "
            f"`{str(path)[-100:]}`, which is trained further. Received: lora_rank={lora_rank}."
        )
    check_model_finite(path, model)
    return model


def _read(path: pathlib.Path) -> tuple[dict[str, Any], list[np.ndarray]]:
    """Reads the config and the arrays, in no more memory than the size of the file."""
    with zipfile.ZipFile(path) as archive:
        config = parse_object(archive.read(CONFIG), pathlib.Path(CONFIG))
        _check_members([archive.getinfo(WEIGHTS)], path.stat().st_size)
        content = archive.read(WEIGHTS)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = archive.infolist()
        _check_members(members, len(content))
        arrays = (_array(archive.read(f"{index}.npy"), index) for index in range(len(members)))
        return config, list(_scaled(arrays))


def _scaled(arrays: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
    """Multiplies arrays of int8 by their scales, and makes all float32.

    JAX would compile the change of dtype for each shape.
    """
    for array in arrays:
        if array.dtype == np.int8:
            scales = next(arrays, None)
            if scales is None or scales.shape != (*array.shape[:1], 1):
                raise ValueError("an array of int8 must be followed by a scale for each row.")
            array = array * scales.astype("float32")
        yield array.astype("float32", copy=False)


def _check_members(members: Sequence[zipfile.ZipInfo], size: int) -> None:
    """Raises if members are compressed, or larger than the archive: `save` writes no such file."""
    compressed = any(member.compress_type != zipfile.ZIP_STORED for member in members)
    if compressed or sum(member.file_size for member in members) > size:
        raise ValueError("its weights are compressed, but `save_adapter` does not compress.")


def _array(content: bytes, index: int) -> np.ndarray:
    """Reads an array in the format of `numpy.save`, in no more memory than its values."""
    start = 10 + int.from_bytes(content[8:10], "little")
    header = _HEADER.fullmatch(content[10:start])
    if content[:8] != b"\x93NUMPY\x01\x00" or header is None:
        raise ValueError(f"its array {index} is not an array of floats or int8 as NumPy writes it.")
    shape = tuple(int(size) for size in header[3].replace(b",", b" ").split())
    dtype = np.dtype(header[1].decode())
    if math.prod(shape) * dtype.itemsize != len(content) - start:
        raise ValueError(f"its array {index} has the shape {shape}, but another number of values.")
    values = np.frombuffer(content, dtype, offset=start)
    return values.reshape(shape, order="F" if header[2] == b"True" else "C")


def _check(config: Mapping[str, Any]) -> Preprocessor:
    """Raises if a setting is missing or not as `save` writes it, and returns the preprocessor."""
    version = config.get("keras_qa_adapter")
    if type(version) is not int or version != VERSION:
        raise ValueError(
            f"it is an adapter of version {version!r:.40}, and this keras-qa reads version "
            f"{VERSION}. Install a newer keras-qa, or save the adapter again."
        )
    for name in ("backbone", "fingerprint"):
        entry(config, name, str)
    to_integer("lora_rank", config.get("lora_rank"))
    check_choice("dtype", config.get("dtype"), _DTYPES)
    saved = entry(config, "preprocessor", dict)
    try:
        preprocessor = deserialize(saved)
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"its `preprocessor` cannot be read: {first_line(error, 150)}") from None
    tokenizer = preprocessor.vectorizer.tokenizer
    if preprocessor.name not in _MAKERS or not isinstance(tokenizer, SubwordTokenizer):
        raise ValueError(
            "its `preprocessor` must mark spans or classify pairs of texts, with the tokenizer of "
            "a published encoder."
        )
    return preprocessor


def _make_reader(checkpoint: PretrainedCheckpoint, preprocessor: Any, **options: Any) -> QAModel:
    types = ["span", *preprocessor.decoder.answer_types]
    return span_reader(backbone=checkpoint, answer_types=types, **options)


def _make_ranker(checkpoint: PretrainedCheckpoint, preprocessor: Any, **options: Any) -> QAModel:
    return text_classifier(checkpoint, SEQUENCE, 1, **options)


# What builds the model of an adapter on its encoder, by the name of the preprocessor.
_MAKERS: dict[str, Callable[..., QAModel]] = {"spans": _make_reader, "pairs": _make_ranker}


def _find_encoder(
    path: pathlib.Path, name: str, backbone: str | os.PathLike[str] | None
) -> PretrainedCheckpoint:
    """Finds the encoder of an adapter file."""
    if backbone is not None:
        folder = os.fspath(backbone)
    elif _is_portable(name):
        folder = name
    else:
        # The path may have been written on Windows.
        name = pathlib.PureWindowsPath(name).name
        folder = str(path.parent / name)
    try:
        checkpoint = find_checkpoint(folder)
    except ValueError as error:
        raise ValueError(f"it needs the encoder `{name[-40:]}`: {first_line(error, 130)}") from None
    if checkpoint is None:
        raise ValueError(
            f"it needs the encoder `{name[-40:]}`, which is not at `{folder[-36:]}`. Pass its "
            'folder: `keras_qa.load(…, backbone="folder/")`.'
        )
    return checkpoint


def _is_portable(name: str) -> bool:
    return name.startswith(PREFIX) or name in ENCODERS


def _build(
    config: Mapping[str, Any],
    preprocessor: Preprocessor,
    values: Sequence[np.ndarray],
    checkpoint: PretrainedCheckpoint,
) -> QAModel:
    """Builds the model on an encoder, without LoRA, and checks that an adapter belongs to it."""
    name, rank = checkpoint.config["_name_or_path"][-60:], config["lora_rank"]
    tokenizer, dtype = preprocessor.vectorizer.tokenizer, config["dtype"]
    with skip_initializers():
        make = _MAKERS[preprocessor.name]
        model = make(checkpoint, preprocessor, tokenizer=tokenizer, dtype=dtype)
    rows_and_columns = sum(sum(layer.kernel.shape) for layer in _encoder(model).lora_layers)
    weights = sum(value.size for value in values)
    if rank * rows_and_columns > weights:
        raise ValueError(
            f"its `lora_rank` is {str(rank)[:20]}, but it has {weights:,} weights, too few for "
            f"this rank with the encoder `{name}`."
        )
    windower: Any = preprocessor.vectorizer
    check_windows(model, windower)
    model.preprocessor = preprocessor
    is_same = _shapes(model, rank) == [value.shape for value in values]
    if not is_same or _fingerprint(model) != config["fingerprint"]:
        raise ValueError(
            f"it was trained on an encoder with other weights than `{name}`. Pass the right one as "
            "`backbone`, or train again."
        )
    return model


def _encoder(model: QAModel) -> TransformerEncoder:
    encoder = transformer_of(model)
    assert encoder is not None
    return encoder


def _shapes(model: QAModel, rank: int) -> list[tuple[int, ...]]:
    """Returns the shapes of an adapter's arrays for a reader without LoRA."""
    shapes: list[tuple[int, ...]] = []
    for layer in _encoder(model).lora_layers:
        inputs, units = layer.kernel.shape
        if layer.use_bias:
            shapes.append((units,))
        shapes += [(inputs, rank), (rank, units)]
    return [*shapes, *(tuple(variable.shape) for variable in model.layers[-1].weights)]


def _merge(model: QAModel, values: Sequence[np.ndarray], checkpoint: PretrainedCheckpoint) -> None:
    """Assigns an adapter's arrays, and adds the products of its LoRA matrices to the kernels.

    The sums are computed in float32, so that a half-precision dtype rounds them once. `save`
    accepts only LoRA with a scale of 1.
    """
    encoder = _encoder(model)
    arrays = iter(values)
    for layer, kernel in zip(encoder.lora_layers, checkpoint.lora_kernels(encoder), strict=True):
        if layer.use_bias:
            layer.bias.assign(next(arrays))
        first, second = next(arrays), next(arrays)
        layer.kernel.assign(kernel + first @ second)
    for variable, value in zip(model.layers[-1].weights, arrays, strict=True):
        variable.assign(value)


def _trained(model: QAModel) -> list[keras.Variable]:
    """Returns the weights that LoRA trains: biases and LoRA matrices, then the head."""
    weights = [weight for layer in _encoder(model).lora_layers for weight in layer.weights]
    trained = [weight for weight in weights if weight.name != "kernel"]
    return trained + model.layers[-1].weights


def _structure(model: QAModel) -> list[dict[str, Any]]:
    """Returns the configs of all layers, without entries that do not change the outputs."""
    unused = ("checkpoint", "dropout")
    return [
        {name: value for name, value in layer.get_config().items() if name not in unused}
        for layer in model.layers
    ]


def _fingerprint(model: QAModel) -> str:
    """Returns a checksum of the weights that LoRA does not train."""
    digest = hashlib.sha256()
    trained = {id(variable) for variable in _trained(model)}
    for variable in model.variables:
        if id(variable) not in trained and keras.backend.is_float_dtype(variable.dtype):
            value = keras.ops.convert_to_numpy(keras.ops.cast(variable, "float32"))
            digest.update(np.ascontiguousarray(value).data)
    return digest.hexdigest()
