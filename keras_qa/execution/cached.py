"""Compiled programs that stay from process to process."""

from __future__ import annotations

import contextlib
import os
import pathlib

from keras_qa import execution

# Bytes that the folder may hold. What was not used for longest goes first.
MOST_BYTES = 2**28


def cache_programs(folder: str | os.PathLike[str]) -> bool:
    """Keeps what the backend compiles in a folder, for the next process that needs the same.

    On JAX that is its persistent compilation cache: the second process spares the time of
    compiling, not that of tracing. TensorFlow has no public interface for it, and PyTorch compiles
    nothing; there nothing is done. The folder may be deleted at any time; it is cut back to 256 MiB
    at each call. The setting holds for the process. `KERAS_QA_CACHE=0` in the environment turns it
    off.

    Args:
        folder: The folder, which is made if need be.

    Returns:
        Whether programs are kept.

    Raises:
        OSError: If the folder cannot be made.

    Examples:
        >>> import tempfile, keras_qa
        >>> kept = keras_qa.cache_programs(tempfile.mkdtemp())
    """
    if os.environ.get("KERAS_QA_CACHE") == "0" or not execution.PROGRAMS:
        return False
    path = pathlib.Path(folder).expanduser() / execution.PROGRAMS
    path.mkdir(parents=True, exist_ok=True)
    _cut_back(path.parent)
    execution.keep_programs(path)
    return True


def _cut_back(folder: pathlib.Path) -> None:
    # Another process may be deleting at the same time.
    with contextlib.suppress(OSError):
        files = [(item.stat(), item) for item in folder.rglob("*") if item.is_file()]
        left = sum(stat.st_size for stat, _ in files)
        for stat, item in sorted(files, key=lambda file: max(file[0].st_atime, file[0].st_mtime)):
            if left <= MOST_BYTES:
                break
            item.unlink(missing_ok=True)
            left -= stat.st_size
