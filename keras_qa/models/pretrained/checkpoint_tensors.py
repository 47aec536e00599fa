"""The tensors of a checkpoint's files, read one at a time."""

from __future__ import annotations

import dataclasses
import functools
import math
import pathlib
import zipfile
from collections.abc import Callable, Mapping

# A dependency of Keras, with which NumPy and `safetensors` read bfloat16.
import ml_dtypes
import numpy as np

from keras_qa._arguments import first_line, import_extra, read_object

WHOLE = "model.safetensors"
INDEX = "model.safetensors.index.json"
PICKLED = "pytorch_model.bin"
# Matrices as int8, each with a float32 scale for each row, as benchmarks/base_encoder.py writes it.
INT8 = "model.int8.npz"
_SCALE = ".scale"

# Imports the package.
safetensors = functools.partial(import_extra, "A checkpoint", "safetensors", "hf")


@dataclasses.dataclass(frozen=True)
class _Tensor:
    shape: tuple[int, ...]
    read: Callable[[], np.ndarray]


class Tensors:
    """The tensors in a folder's files by name. Nothing in the files is executed.

    `size` is the total number of their values.
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
        elif (folder / INT8).is_file():
            self._readers.update(_int8(folder / INT8))
        else:
            raise ValueError(
                f"`{folder}` has no weights: expected `{WHOLE}`, or its parts and `{INDEX}`."
            )
        self.names = frozenset(self._readers)
        self.size = sum(math.prod(tensor.shape) for tensor in self._readers.values())

    def __getitem__(self, name: str) -> np.ndarray:
        return self._readers[name].read()

    def shape(self, name: str) -> tuple[int, ...]:
        """Returns the shape of a tensor without reading it."""
        return self._readers[name].shape


def shards(index: pathlib.Path) -> list[str]:
    """Returns the files in an index."""
    try:
        names = read_object(index)["weight_map"].values()
    except (ValueError, KeyError, AttributeError) as error:
        raise ValueError(
            f"`{index}` is not an index of weights ({error!r:.100}). Get it again."
        ) from None
    for name in names:
        if not isinstance(name, str) or pathlib.PurePath(name).name != name:
            raise ValueError(f"`{index}` names the file {name!r:.80}, which is in another folder.")
    return sorted(set(names))


def _safetensors(path: pathlib.Path) -> dict[str, _Tensor]:
    library = safetensors()
    if not path.is_file():
        raise ValueError(f"There is no file `{path}`, which `{INDEX}` names. Get it again.")
    try:
        opened = library.safe_open(path, framework="numpy")
        names = list(opened.keys())
    except library.SafetensorError as error:
        raise ValueError(f"`{path}` is damaged ({error}). Get it again.") from None

    def read(name: str) -> np.ndarray:
        tensor: np.ndarray = opened.get_tensor(name)
        return tensor.astype("float32") if tensor.dtype == ml_dtypes.bfloat16 else tensor

    return {
        name: _Tensor(tuple(opened.get_slice(name).get_shape()), functools.partial(read, name))
        for name in names
    }


def _pickled(path: pathlib.Path) -> dict[str, _Tensor]:
    try:
        import torch
    except ImportError:
        raise ValueError(
            f"`{path}` is a PyTorch file, which needs PyTorch. Install it, or convert the file to "
            f"`{WHOLE}` with `save_pretrained` in `transformers`."
        ) from None
    import pickle

    try:
        loaded = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError) as error:
        reason = first_line(error, 150)
        raise ValueError(f"`{path}` cannot be read as weights only: {reason}") from None
    if not isinstance(loaded, Mapping):
        raise ValueError(
            f"`{path}` must hold tensors by name. It holds a {type(loaded).__name__}. Get it again."
        )
    return {
        name: _Tensor(tuple(value.shape), value.to(torch.float32).numpy)
        for name, value in loaded.items()
        if isinstance(value, torch.Tensor)
    }


def _int8(path: pathlib.Path) -> dict[str, _Tensor]:
    try:
        # `np.load` leaves a file open that it cannot read.
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            saved = dict(arrays)
    except (OSError, ValueError, EOFError, RuntimeError, MemoryError, zipfile.BadZipFile) as error:
        raise ValueError(f"`{path}` is damaged ({error!s:.100}). Install keras-qa again.") from None

    def read(name: str) -> np.ndarray:
        scale = saved.get(name + _SCALE)
        # On JAX, `assign` of float16 would compile the change of dtype for each shape.
        values = saved[name].astype("float32", copy=False)
        return values if scale is None else values * scale

    return {
        name: _Tensor(array.shape, functools.partial(read, name))
        for name, array in saved.items()
        if not name.endswith(_SCALE)
    }
