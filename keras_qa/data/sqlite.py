"""Connections and transactions of Python's own `sqlite3`, even if TensorFlow is loaded.

TensorFlow (2.21) exports the symbols of an SQLite without FTS5. Modules loaded after it would use
them instead of their own; `RTLD_DEEPBIND` makes `sqlite3` prefer its own.
"""

from __future__ import annotations

import contextlib
import os
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

__all__ = ["connect", "sqlite3", "transaction"]


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
