"""The SQLite file of an index: tables, opening, transactions, and translation of SQLite's errors.

Texts and names are stored as UTF-8 blobs, because they may contain lone surrogates.
"""

from __future__ import annotations

import contextlib
import os
import pathlib
import time
from collections.abc import Iterator

from keras_qa.files.sqlite import sqlite3

# "kqai": identifies an index among other SQLite files.
APPLICATION = 0x6B716169
VERSION = 2
# The first version with a checksum of everything that a search reads.
CHECKSUM_VERSION = 2

# Characters of a text in one row. Reading a passage reads only the rows that it is in.
BLOCK = 2**14
# Seconds to wait for another connection that writes.
_PATIENCE = 60.0
# Seconds between attempts, where SQLite does not wait by itself.
_PAUSE = 0.01
_MEMORY = 64 * 1024  # KiB
# Parts of SQLite's messages about problems other than a damaged file.
_SYSTEM_ERRORS = (
    "readonly",
    "unable to open",
    "disk I/O",
    "interrupted",
    "too big",
    "out of memory",
)

# Added to errors about a file that is not an index.
_MAKE = "Make one of a folder with `keras-qa index FOLDER`."

_TABLES = """
CREATE TABLE settings (name TEXT PRIMARY KEY, value) WITHOUT ROWID;
-- A file may contain several documents. `hash` is NULL while the file is being indexed.
CREATE TABLE files (id INTEGER PRIMARY KEY, name BLOB UNIQUE NOT NULL, hash BLOB);
CREATE TABLE documents (
    id INTEGER PRIMARY KEY, name BLOB UNIQUE NOT NULL, file INTEGER, hash BLOB NOT NULL, pages BLOB
);
CREATE INDEX documents_of_files ON documents (file);
CREATE TABLE texts (
    document INTEGER, block INTEGER, text BLOB NOT NULL, PRIMARY KEY (document, block)
) WITHOUT ROWID;
-- AUTOINCREMENT: ids are never reused.
CREATE TABLE passages (
    id INTEGER PRIMARY KEY AUTOINCREMENT, document INTEGER NOT NULL, start INTEGER NOT NULL,
    stop INTEGER NOT NULL, line INTEGER NOT NULL, heading BLOB NOT NULL
);
CREATE INDEX passages_of_documents ON passages (document);
-- Frequent words, and the number of passages that contain them.
CREATE TABLE frequent (word TEXT PRIMARY KEY, passages INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE checksums (value INTEGER NOT NULL);
"""


def create_file(path: pathlib.Path) -> sqlite3.Connection:
    """Creates an empty index. Raises the errors of `Index.create`."""
    if path.exists():
        raise FileExistsError(f"`path` exists already: {str(path)!r}. Open it, or delete it.")
    if not path.absolute().parent.is_dir():
        raise FileNotFoundError(f"`path` is in a folder that does not exist: {str(path.parent)!r}.")
    with translate_sqlite_errors(path):
        connection = _connect(path)
        with transaction(connection):
            connection.execute(f"PRAGMA application_id = {APPLICATION}")
            connection.execute(f"PRAGMA user_version = {VERSION}")
            for statement in _TABLES.split(";"):
                connection.execute(statement)
        return connection


def open_file(path: pathlib.Path) -> sqlite3.Connection:
    """Opens an index. Raises the errors of `Index.open`."""
    if not path.is_file():
        raise FileNotFoundError(
            f"There is no index at {str(path)!r}. Make one with `keras-qa index FOLDER --out "
            f"{path.name}`."
        )
    # Read the file through SQLite only: closing any other handle of the process on it would
    # release the POSIX locks that other threads hold.
    with translate_sqlite_errors(path), contextlib.ExitStack() as on_error:
        connection = on_error.enter_context(contextlib.closing(_connect(path)))
        application = connection.execute("PRAGMA application_id").fetchone()[0]
        version = read_version(connection)
        if application != APPLICATION:
            kind = "another" if path.stat().st_size else "not an"
            raise ValueError(
                f"`{path}` is not an index of keras-qa: it is {kind} SQLite file. {_MAKE}"
            )
        if version > VERSION:
            raise ValueError(
                f"`{path}` is of version {version}, but this keras-qa reads up to {VERSION}. "
                "Install a newer keras-qa."
            )
        on_error.pop_all()
    return connection


def read_version(connection: sqlite3.Connection) -> int:
    """Returns the version of the file format."""
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    return version


def _connect(path: pathlib.Path) -> sqlite3.Connection:
    # `Index` has a lock, so several threads may use the connection in turn.
    connection = sqlite3.connect(
        path, timeout=_PATIENCE, isolation_level=None, check_same_thread=False
    )
    connection.execute(f"PRAGMA cache_size = -{_MEMORY}")
    connection.execute("PRAGMA temp_store = MEMORY")
    return connection


def start_writing(connection: sqlite3.Connection) -> None:
    """Turns on the write-ahead log, so that other connections can read meanwhile."""
    until = time.monotonic() + _PATIENCE
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            break
        except sqlite3.OperationalError as error:
            # SQLite's timeout covers other readers here, but not other writers.
            if "locked" not in str(error) or time.monotonic() > until:
                raise
            time.sleep(_PAUSE)
    connection.execute("PRAGMA synchronous = NORMAL")


def stop_writing(connection: sqlite3.Connection) -> None:
    """Merges the write-ahead log into the file; the last connection to close does it otherwise."""
    with contextlib.suppress(sqlite3.OperationalError):
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    waits = connection.execute("PRAGMA busy_timeout").fetchone()[0]
    connection.execute("PRAGMA busy_timeout = 0")
    with contextlib.suppress(sqlite3.OperationalError):
        connection.execute("PRAGMA journal_mode = DELETE")
    connection.execute(f"PRAGMA busy_timeout = {waits}")


@contextlib.contextmanager
def transaction(connection: sqlite3.Connection, writes: bool = True) -> Iterator[None]:
    """Runs a block in a transaction, which an error rolls back."""
    connection.execute("BEGIN IMMEDIATE" if writes else "BEGIN")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        # SQLite rolls back by itself after some errors.
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


@contextlib.contextmanager
def translate_sqlite_errors(path: str | os.PathLike[str]) -> Iterator[None]:
    """Translates errors of SQLite into errors of one line that name the file."""
    try:
        yield
    except sqlite3.Error as error:
        said = str(error)
        if "closed database" in said:
            raise ValueError(f"`{path}` is closed. Open it with `Index.open`.") from None
        if said == "no such module: fts5":
            raise ImportError(
                f"The index needs SQLite with FTS5, which SQLite {sqlite3.sqlite_version} lacks. "
                "If `sqlite3` was imported after TensorFlow, import it, or keras_qa, first. "
                "Otherwise install a Python whose SQLite has FTS5."
            ) from None
        if "not a database" in said:
            raise ValueError(
                f"`{path}` is not an index of keras-qa: it is not an SQLite file. {_MAKE}"
            ) from None
        if "locked" in said:
            raise OSError(
                f"`{path}` is being written by another process. Try again when it is done."
            ) from None
        if "full" in said:
            raise OSError(
                f"The disk is full, so `{path}` cannot be written. Earlier changes are kept."
            ) from None
        if any(cause in said for cause in _SYSTEM_ERRORS):
            raise OSError(f"`{path}`: {said}.") from None
        problem = _truncation(path) or " ".join(said.split())[:120]
        raise ValueError(
            f"`{path}` is damaged: {problem}. Delete it, and make the index again."
        ) from None


def _truncation(path: str | os.PathLike[str]) -> str | None:
    """Says how many bytes of a damaged file are missing; `None` if none are."""
    # Opening the file may release locks of other threads, which is harmless if it is damaged.
    with open(path, "rb") as file:
        head = file.read(100)
        size = file.seek(0, os.SEEK_END)
    page_size = int.from_bytes(head[16:18], "big")
    expected = int.from_bytes(head[28:32], "big") * (65536 if page_size == 1 else page_size)
    return f"it has {size:,} of {expected:,} bytes" if size < expected else None


def get_setting(connection: sqlite3.Connection, name: str) -> str | bytes | int | None:
    """Returns a setting of the index, or `None`."""
    row = connection.execute("SELECT value FROM settings WHERE name = ?", (name,)).fetchone()
    value: str | bytes | int | None = None if row is None else row[0]
    return value


def encode_text(text: str) -> bytes:
    """Encodes a text as it is stored."""
    return text.encode("utf-8", "surrogatepass")


def decode_text(raw: bytes) -> str:
    """Decodes a stored text. A damaged one raises `sqlite3.DatabaseError`."""
    try:
        return raw.decode("utf-8", "surrogatepass")
    except (AttributeError, UnicodeDecodeError):
        raise sqlite3.DatabaseError("a text in it is not UTF-8") from None
