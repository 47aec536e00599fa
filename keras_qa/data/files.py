"""Files that are replaced at once, and checks of `.keras` files before they are loaded."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import pathlib
import secrets
import stat
import zipfile
import zlib
from collections.abc import Iterator

from keras_qa._arguments import nested_objects

# Keras stores members as they are; other tools that repack archives deflate them.
_METHODS = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}

# Members of models without assets, and of adapters. Keras unpacks others into a temporary folder.
_MEMBERS = {"metadata.json", "config.json", "model.weights.h5", "adapter.npz"}

# Class names of config entries that hold code, or call a function by its name.
_CODE = {"Lambda", "__lambda__"}

# Config entries that set the size of a weight, or the number of layers.
_SIZES = {
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

# Maximum depth of nested objects and lists in a config. Keras writes about 30.
_MAX_DEPTH = 200
# Limit of how many times larger than the file its members may be: weights hardly shrink.
_MAX_EXPANSION = 20
_BLOCK = 1 << 20


@contextlib.contextmanager
def replace_atomically(path: str | os.PathLike[str]) -> Iterator[pathlib.Path]:
    """Yields a temporary path to write to, which replaces `path` if the block raises no error."""
    path = pathlib.Path(path)
    # Keep the suffix: writers choose the format by it. The random part separates processes that
    # write to one path.
    name = f".{path.stem[:40]}.{secrets.token_hex(4)}.partial{path.suffix}"
    partial = path.with_name(name)
    try:
        yield partial
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def check_keras_file(path: pathlib.Path) -> int:
    """Raises a `ValueError` if a `.keras` file is damaged, claims wrong sizes or contains code.

    Nothing in it is executed. Returns the size in bytes of its largest member, the weights.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            if any(item.compress_type not in _METHODS for item in members):
                raise NotImplementedError
            unpacked = sum(item.file_size for item in members)
            is_bomb = unpacked > _MAX_EXPANSION * path.stat().st_size + _BLOCK
            # Reading stops at `file_size`.
            sizes = [0 if is_bomb else _read_size(archive, item) for item in members]
            config = {} if is_bomb else json.loads(archive.read("config.json"))
    except KeyError:
        raise ValueError(
            f"`{path}` is a zip file, but not a `.keras` file: it has no `config.json`."
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
            f"`{path}` is not a `.keras` file, or it is damaged or truncated. "
            "Copy it again, or save the model again."
        ) from None
    names = [item.filename for item in members]
    other = next((name for name in names if name not in _MEMBERS or names.count(name) > 1), None)
    if is_bomb or other is not None:
        problem = f"unpacks to {unpacked:,} bytes" if is_bomb else f"contains {other!r:.80}"
        raise ValueError(f"`{path}` {problem}, as no model of keras-qa does. Save the model again.")
    weight_bytes = max(sizes, default=0)
    try:
        entries = list(nested_objects(config, _MAX_DEPTH))
    except ValueError as error:
        raise ValueError(
            f"`{path}` has an invalid config: {error}. Save the model again."
        ) from None
    if not isinstance(config, dict):
        raise ValueError(f"`{path}` has a config that is not a JSON object. Save the model again.")
    claims = [
        (size, name)
        for entry in entries
        for name in _SIZES
        if isinstance(size := entry.get(name), int)
    ]
    largest, name = max(claims, default=(0, ""))
    if largest > weight_bytes:
        raise ValueError(
            f"`{path}` has `{name}={largest}` in its config, but only {weight_bytes:,} bytes "
            "of weights. Save the model again."
        )
    for entry in entries:
        kind = entry.get("class_name")
        if isinstance(kind, str) and kind in _CODE:
            raise ValueError(
                f"`{path}` contains a `{kind.strip('_').capitalize()}`, which can execute any code "
                "when it is loaded. Replace it by a registered layer and save the model again."
            )
    return weight_bytes


def _read_size(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> int:
    """Reads a member, which checks its CRC-32, and counts its bytes: `file_size` may be wrong."""
    size = 0
    with archive.open(member) as file:
        while block := file.read(_BLOCK):
            size += len(block)
    return size


def open_regular(path: str, flags: int) -> int:
    """Opens a regular file: the argument `opener` of `open`.

    Raises an `OSError` if a link leads to the file, or if it is a FIFO or a device. A path that was
    checked may have been exchanged since, and would lead out of its folder, or block for ever.
    """
    # Windows has neither.
    flags |= getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    try:
        descriptor = os.open(path, flags)
    except OSError as error:
        # A link, and a socket.
        if error.errno not in (errno.ELOOP, errno.ENXIO):
            raise
        raise OSError("it is not a regular file") from None
    is_regular = stat.S_ISREG(os.fstat(descriptor).st_mode)
    # A folder above it may be a link, too.
    if is_regular and os.path.realpath(path) == os.path.abspath(path):
        return descriptor
    os.close(descriptor)
    raise OSError("it is not a regular file")
