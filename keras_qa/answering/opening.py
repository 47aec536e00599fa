"""What a path or a name refers to, and its model. No other file decides this.

An exported folder needs no Keras.
"""

from __future__ import annotations

import difflib
import os
import pathlib
import zipfile
from typing import Any, NamedTuple, TypeGuard

from keras_qa import _backend
from keras_qa.data.presets import EMBEDDERS, ENCODERS, FOLDER, PREFIX, PRESETS
from keras_qa.onnx.runtime import ONNX, SETTINGS, ExportedModel

# What a path or a name may refer to: a folder of `onnx.export`, a published checkpoint, a file of
# `save_adapter`, another `.keras` file, or a preset that is an encoder of texts.
EXPORTED, PUBLISHED, ADAPTER = "exported", "published", "adapter"
FILE, EMBEDDER = "file", "embedder"

# The reader of documents if the user names no other.
DEFAULT_READER = "minilm-squad"
# The ranker of passages, and the model that checks claims, if the user names no others.
DEFAULT_RANKER, DEFAULT_CHECKER = "minilm-rerank", "minilm-verify"

# Files of a folder from which Keras would load a model, also if the folder has a graph.
_WEIGHTS = ("model.safetensors", "model.safetensors.index.json", "pytorch_model.bin")

# On Windows, a path that begins so may name another machine.
_ELSEWHERE = ("//", "\\\\")


class Opened(NamedTuple):
    """A model from a path or a name, a `QAModel` or an `ExportedModel`."""

    model: Any
    # False for an encoder without a head.
    is_trained: bool
    # The full path of a file or a folder, and any other name unchanged.
    name: str


def find(path: str | os.PathLike[str]) -> tuple[str, str]:
    """Returns what a path or a name refers to, and the path or the name of that."""
    # What exists comes before presets of the same name.
    name = os.fspath(path)
    if _is_exported(name):
        return EXPORTED, name
    exists = os.path.exists(name)
    if os.path.isdir(name) or name.startswith(PREFIX) or (name in ENCODERS and not exists):
        return PUBLISHED, name
    if not exists:
        if name in EMBEDDERS:
            return EMBEDDER, EMBEDDERS[name]
        _check_name(name)
        name = str(FOLDER / f"{name}.keras")
    return ADAPTER if _is_adapter(name) else FILE, name


def check_names(*names: str | None) -> None:
    """Raises a `FileNotFoundError` if there is no model of one of these names; it needs no Keras.

    `None` and `"none"` are no model.
    """
    for name in names:
        if name not in (None, "none") and not _is_exported(name):
            _check_name(name)


def _check_name(name: str) -> None:
    """Raises a `FileNotFoundError` if nothing has this name: no file, repository, or preset."""
    if name in PRESETS or name in ENCODERS or name.startswith(PREFIX) or os.path.exists(name):
        return
    near = difflib.get_close_matches(name, [*PRESETS, *ENCODERS], 1)
    raise FileNotFoundError(
        f"There is no file `{name[-100:]}`, and no preset of that name. Expected a `.keras` file, "
        f"a folder, `hf://owner/name`, or one of the presets: {', '.join(PRESETS)}."
        + "".join(f" The nearest name is `{name}`." for name in near)
    )


def _is_exported(name: str) -> bool:
    """Whether a name is a folder that `export` wrote, or a graph in it."""
    path = pathlib.Path(os.path.expanduser(name))
    # Not methods of `path`, which raise an error for a name that is too long.
    if path.suffix == ".onnx":
        return os.path.isfile(path)
    has_graph = os.path.isdir(path / ONNX) and not any((path / name).exists() for name in _WEIGHTS)
    return os.path.isfile(path / SETTINGS) or has_graph


def _is_adapter(name: str) -> bool:
    from keras_qa.models.adapters import WEIGHTS

    try:
        with zipfile.ZipFile(name) as archive:
            return WEIGHTS in archive.namelist()
    except (OSError, ValueError, NotImplementedError, zipfile.BadZipFile):
        return False


def open_model(
    path: str | os.PathLike[str],
    compile: bool = True,
    backbone: str | os.PathLike[str] | None = None,
    lora_rank: int | None = None,
) -> Opened:
    """Loads a model with its preprocessor, see `keras_qa.load`.

    With `lora_rank` the LoRA of an adapter, which has this rank, is not merged.
    """
    kind, source = find(path)
    name = os.fspath(path)
    if kind == EMBEDDER:
        raise ValueError(f"`{name}` is no reader. `keras_qa.load({name!r})` returns an embedder.")
    if backbone is not None and kind != ADAPTER:
        raise ValueError(
            "`backbone` is the encoder of a file that `save_adapter` wrote, but "
            f"`{source[-150:]}` is not such a file. Leave `backbone` out."
        )
    local = pathlib.Path(os.path.expanduser(name))
    name = str(local.resolve()) if os.path.exists(local) else name
    if kind == EXPORTED:
        return Opened(ExportedModel(source), True, name)
    # Not at the top: it needs Keras.
    from keras_qa.models import adapters, model_files

    if kind == FILE:
        return Opened(model_files.open_file(source, compile), True, name)
    if kind == ADAPTER:
        return Opened(adapters.load(pathlib.Path(source), backbone, lora_rank), True, name)
    return Opened(*model_files.open_published(source), name)


def is_default(model: object, *names: str) -> TypeGuard[str]:
    """Whether a model is the name of one of these presets, and no path of that name exists."""
    return isinstance(model, str) and model in names and not os.path.exists(model)


def needs_backend(*names: str | None) -> bool:
    """Whether one of these models needs Keras: exported folders do not, `None` is no model."""
    return not all(_is_exported(name) for name in names if name is not None)


def default_verifiers(reader: str) -> tuple[str, str] | tuple[None, None]:
    """Returns the ranker and the checker of `verify`: none if a reader needs no Keras."""
    return (DEFAULT_RANKER, DEFAULT_CHECKER) if needs_backend(reader) else (None, None)


def use_backend(backend: str | None, *names: str | os.PathLike[str]) -> None:
    """Sets the backend for models that need one, before Keras is imported."""
    if backend is not None and needs_backend(*[os.fspath(name) for name in names]):
        _backend.use(backend)


def is_exported_here(name: str) -> bool:
    """Whether a name that comes from a file is the full path of an exported folder here."""
    return not name.startswith(_ELSEWHERE) and os.path.isabs(name) and _is_exported(name)


def is_local(name: str) -> bool:
    """Whether a name that comes from a file refers to this machine, so it is strict."""
    if is_exported_here(name):
        return True
    elsewhere = name.startswith((*_ELSEWHERE, PREFIX))
    return name in ENCODERS or (not elsewhere and os.path.isdir(name))
