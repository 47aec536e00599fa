"""The tensors of a checkpoint's files, read one at a time."""

from __future__ import annotations

import dataclasses
import functools
import json
import pathlib
from collections.abc import Callable, Iterator, Mapping
from types import ModuleType
from typing import Any

import numpy as np

WHOLE = "model.safetensors"
INDEX = "model.safetensors.index.json"
PICKLED = "pytorch_model.bin"


@dataclasses.dataclass(frozen=True)
class _Tensor:
    shape: tuple[int, ...]
    read: Callable[[], np.ndarray]


class Tensors:
    """The tensors that a folder's files hold, by name. Nothing in them is executed.

    Args:
        folder: The folder: `model.safetensors`, alone or in parts with their
            index; or where PyTorch is installed `pytorch_model.bin`.

    Attributes:
        names: Names of the tensors.

    Raises:
        ImportError: If the `safetensors` library is missing.
        ValueError: If there are no weights, or a file is damaged.
    """

    def __init__(self, folder: pathlib.Path) -> None:
        self._readers: dict[str, _Tensor] = {}
        if (folder / INDEX).is_file() and not (folder / WHOLE).is_file():
            for name in shards(folder / INDEX):
                self._readers.update(_safetensors(folder / name))
        elif (folder / WHOLE).is_file():
            self._readers.update(_safetensors(folder / WHOLE))
        elif (folder / PICKLED).is_file():
            self._readers.update(_pickled(folder / PICKLED))
        else:
            raise ValueError(
                f"`{folder}` holds no weights: expected `{WHOLE}`, or its parts and `{INDEX}`."
            )
        self.names = frozenset(self._readers)

    def __getitem__(self, name: str) -> np.ndarray:
        return self._readers[name].read()

    def shape(self, name: str) -> tuple[int, ...]:
        """The shape of a tensor, which is not read for that."""
        return self._readers[name].shape


def shards(index: pathlib.Path) -> list[str]:
    """The files that an index names."""
    return sorted(set(_index(index).values()))


def _index(path: pathlib.Path) -> Mapping[str, str]:
    try:
        found = json.loads(path.read_text("utf-8"))["weight_map"]
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"`{path}` is no index of weights ({error!r:.100}). Get it again."
        ) from None
    for name in found.values():
        if pathlib.PurePath(name).name != name:
            raise ValueError(f"`{path}` names the file {name!r}, which is not beside it.")
    return found


def safetensors() -> ModuleType:
    """Imports the `safetensors` library, or raises an `ImportError` that says how to install it."""
    try:
        import safetensors as library
    except ImportError as error:
        raise ImportError(
            f"Checkpoints need the `safetensors` library, which cannot be imported ({error}). "
            'Install it: `pip install "keras-qa[hf]"`.'
        ) from error
    return library


def _safetensors(path: pathlib.Path) -> dict[str, _Tensor]:
    library = safetensors()
    if not path.is_file():
        raise ValueError(f"There is no file `{path}`, which `{INDEX}` names. Get it again.")
    try:
        opened = library.safe_open(path, framework="numpy")
        names = list(opened.keys())
    except library.SafetensorError as error:
        raise ValueError(f"`{path}` is damaged ({error}). Get it again.") from None

    found = {}
    for name in names:
        part = opened.get_slice(name)
        is_half = part.get_dtype() == "BF16"
        read: Any = functools.partial(_bfloat16, path) if is_half else opened.get_tensor
        found[name] = _Tensor(tuple(part.get_shape()), functools.partial(read, name))
    return found


def _bfloat16(path: pathlib.Path, name: str) -> np.ndarray:
    """A tensor of a dtype that NumPy lacks, as float32, which has it as its upper half."""
    with path.open("rb") as file:
        size = int.from_bytes(file.read(8), "little")
        entry = json.loads(file.read(size))[name]
        start, end = entry["data_offsets"]
        file.seek(8 + size + start)
        halves = np.frombuffer(file.read(end - start), "<u2")
    return (halves.astype("uint32") << 16).view("float32").reshape(entry["shape"])


def _pickled(path: pathlib.Path) -> dict[str, _Tensor]:
    try:
        import torch
    except ImportError:
        raise ValueError(
            f"`{path}` is a pickle of PyTorch's, which is read only where PyTorch is installed. "
            f"Install it, or convert the file to `{WHOLE}`: `save_pretrained` in `transformers` "
            "does."
        ) from None
    import pickle

    try:
        loaded = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError) as error:
        reason = str(error).splitlines()[0][:150] if str(error) else type(error).__name__
        raise ValueError(f"`{path}` cannot be read as weights alone: {reason}") from None
    if not isinstance(loaded, Mapping):
        raise ValueError(
            f"`{path}` must hold tensors by name. It holds a {type(loaded).__name__}. Get it again."
        )
    found: Iterator[tuple[str, Any]] = (
        (name, value) for name, value in loaded.items() if isinstance(value, torch.Tensor)
    )
    return {name: _Tensor(tuple(v.shape), v.to(torch.float32).numpy) for name, v in found}
