"""`.keras` files: sealed by a checksum when written, verified before anything in them is read."""

from __future__ import annotations

import hashlib
import json
import os
import pathlib
import zipfile
import zlib
from collections.abc import Iterator
from typing import IO, Any

# The seal is the archive's comment, the last bytes of the file, so that any
# reader of zip files, Keras among them, opens a sealed file as it opens others.
SEAL = b"keras-qa sha256:"
DIGEST_SIZE = 64

# Config entries that hold code, or call a function by its name.
CODE = {"Lambda", "__lambda__"}

# Config entries that say how many rows or columns a weight has.
SIZES = {"vocabulary_size", "input_dim", "output_dim", "embedding_dim", "units", "hidden_dim"}


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


def verify(path: pathlib.Path) -> None:
    """Raises where a `.keras` file is damaged or holds code. Nothing in it is executed.

    Args:
        path: A file that `QuestionAnswerer.save` or `Model.save` wrote.

    Raises:
        ValueError: If the file is damaged, is no `.keras` file, or holds code such as a `Lambda`
            layer.
    """
    try:
        with zipfile.ZipFile(path) as archive:
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
    entries = list(_entries(config))
    # What is as large as some weight has rows or columns.
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


def _entries(config: Any) -> Iterator[dict[str, Any]]:
    """Every object in a config, however deep."""
    if isinstance(config, dict):
        yield config
        config = list(config.values())
    if isinstance(config, list):
        for value in config:
            yield from _entries(value)
