"""Connections and transactions of Python's own `sqlite3`, even if TensorFlow is loaded.

TensorFlow (2.21) exports the symbols of an SQLite without FTS5. Modules loaded after it would use
them instead of their own; `RTLD_DEEPBIND` makes `sqlite3` prefer its own.
"""

from __future__ import annotations

import contextlib
import os
import pathlib
import sys
from collections.abc import Iterator

if hasattr(os, "RTLD_DEEPBIND"):
    _before = sys.getdlopenflags()
    sys.setdlopenflags(_before | os.RTLD_DEEPBIND)
    try:
        import sqlite3
    finally:
        sys.setdlopenflags(_before)
else:
    import sqlite3

__all__ = ["connect", "lock", "sqlite3", "transaction"]


def connect(path: str | os.PathLike[str], timeout: float) -> sqlite3.Connection:
    """Opens a file for threads in turn, without transactions but those that a caller begins."""
    return sqlite3.connect(path, timeout=timeout, isolation_level=None, check_same_thread=False)


@contextlib.contextmanager
def transaction(connection: sqlite3.Connection, writes: bool = True) -> Iterator[None]:
    """Runs a block in a transaction, which an error rolls back."""
    connection.execute("BEGIN IMMEDIATE" if writes else "BEGIN")
    try:
        yield
        connection.execute("COMMIT")
    finally:
        # After an error. SQLite rolls back by itself after some of them.
        if connection.in_transaction:
            connection.execute("ROLLBACK")


@contextlib.contextmanager
def lock(path: str | os.PathLike[str], timeout: float = 0.0) -> Iterator[None]:
    """Excludes other processes that lock a path, by an SQLite file beside it, while a block runs.

    The lock ends with the process. After `timeout` seconds of another lock it raises an `OSError`.
    """
    path = pathlib.Path(path).expanduser()
    real = path.resolve()
    file = real.with_name(f".{real.name}.lock")
    if not file.parent.is_dir():
        raise FileNotFoundError(f"`path` is in a folder that does not exist: {str(path.parent)!r}.")
    with contextlib.ExitStack() as stack:
        try:
            connection = stack.enter_context(contextlib.closing(connect(file, timeout)))
            connection.execute("PRAGMA journal_mode = OFF")
            connection.execute("BEGIN EXCLUSIVE")
        except sqlite3.Error as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY:
                raise OSError(f"`{file}`: {error}.") from None
            raise OSError(f"Another process writes to `{path}`. Wait for its end.") from None
        try:
            yield
        finally:
            connection.close()
            # Windows deletes no file that another process has opened.
            with contextlib.suppress(OSError):
                file.unlink()
