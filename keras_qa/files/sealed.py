"""`.keras` files: sealed by a checksum when written, verified before anything in them is read."""

from __future__ import annotations

import hashlib
import json
import os
import pathlib
import zipfile
import zlib
from typing import IO

from keras_qa.files import json_files

# The seal is the archive's comment, the last bytes of the file, so that any
# reader of zip files, Keras among them, opens a sealed file as it opens others.
SEAL = b"keras-qa sha256:"
DIGEST_SIZE = 64

# The compressions that Keras writes, and other tools that repack archives.
METHODS = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}

# Config entries that hold code, or call a function by its name.
CODE = {"Lambda", "__lambda__"}

# Config entries that say how many rows or columns a weight has, or how many layers there are.
SIZES = {
    "vocabulary_size",
    "input_dim",
    "output_dim",
    "embedding_dim",
    "units",
    "hidden_dim",
    "intermediate_dim",
    "lora_rank",
    "num_heads",
    "num_layers",
    "num_hops",
    "num_roles",
    "num_steps",
    "num_segments",
}

# How many objects and lists may be nested in a config. In real ones it is some 30.
MAX_DEPTH = 200


def seal(path: str | os.PathLike[str]) -> None:
    """Adds a checksum of the whole file to a `.keras` file.

    Args:
        path: The file. It is rewritten in place.
    """
    with zipfile.ZipFile(path, "a") as archive:
        archive.comment = SEAL + b"0" * DIGEST_SIZE
    with open(path, "r+b") as file:
        digest = _digest(file, os.path.getsize(path) - DIGEST_SIZE)
        file.seek(-DIGEST_SIZE, os.SEEK_END)
        file.write(digest.encode())


def verify(path: pathlib.Path) -> int:
    """Raises if a `.keras` file is damaged or holds code. Nothing in it is executed.

    Args:
        path: A file that `QuestionAnswerer.save` or `Model.save` wrote.

    Returns:
        The size in bytes of its weights.

    Raises:
        ValueError: If the file is damaged, is no `.keras` file, or holds code such as a `Lambda`
            layer.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            if any(item.compress_type not in METHODS for item in archive.infolist()):
                raise NotImplementedError
            damaged = archive.testzip()
            comment = archive.comment
            config = json.loads(archive.read("config.json")) if damaged is None else None
            bytes_of_weights = max((item.file_size for item in archive.infolist()), default=0)
    except KeyError:
        raise ValueError(
            f"`{path}` is a zip file, but no `.keras` file: it holds no `config.json`."
        ) from None
    except (
        zipfile.BadZipFile,
        zlib.error,
        NotImplementedError,
        RuntimeError,
        ValueError,
        EOFError,
        OSError,
    ):
        raise ValueError(
            f"`{path}` is no `.keras` file, or it is damaged or cut short. "
            "Copy it again, or save the model again."
        ) from None
    if damaged is not None or (comment and not _seal_holds(path, comment)):
        raise ValueError(
            f"`{path}` is damaged: its checksum does not match its contents. "
            "Copy it again, or save the model again."
        )
    try:
        entries = list(json_files.nested_objects(config, MAX_DEPTH))
    except ValueError as error:
        raise ValueError(
            f"`{path}` has a config in which {error}. It is damaged, or made up: save the model "
            "again."
        ) from None
    if not isinstance(config, dict):
        raise ValueError(f"`{path}` has a config that is no JSON object. Save the model again.")
    # No size can be larger than the weights of the file.
    sizes = [
        (size, name)
        for entry in entries
        for name in SIZES
        if isinstance(size := entry.get(name), int)
    ]
    most, name = max(sizes, default=(0, ""))
    if most > bytes_of_weights:
        raise ValueError(
            f"`{path}` says `{name}={most}`, but holds {bytes_of_weights:,} bytes of weights. "
            "It is damaged, or made up: save the model again."
        )
    for entry in entries:
        kind = entry.get("class_name")
        if isinstance(kind, str) and kind in CODE:
            raise ValueError(
                f"`{path}` holds a `{kind.strip('_').capitalize()}`, which can run any code when "
                "loaded, and is refused. Replace it by a registered layer and save the model again."
            )
    return bytes_of_weights


def _seal_holds(path: pathlib.Path, comment: bytes) -> bool:
    if len(comment) != len(SEAL) + DIGEST_SIZE or not comment.startswith(SEAL):
        return False
    with open(path, "rb") as file:
        digest = _digest(file, path.stat().st_size - DIGEST_SIZE)
    return comment.endswith(digest.encode())


def _digest(file: IO[bytes], size: int) -> str:
    digest = hashlib.sha256()
    file.seek(0)
    while size > 0:
        block = file.read(min(size, 1 << 20))
        if not block:
            break
        digest.update(block)
        size -= len(block)
    return digest.hexdigest()
