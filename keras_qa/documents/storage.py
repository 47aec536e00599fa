"""The SQLite file of an index: its tables, how it is opened and closed, what may be wrong with it.

Texts and names are UTF-8 in blobs, where half a surrogate pair may stand as well.
"""

from __future__ import annotations

import contextlib
import os
import pathlib
import time
from collections.abc import Iterator

from keras_qa.files.sqlite import sqlite3

# "kqai", which tells the file from others of SQLite.
APPLICATION = 0x6B716169
VERSION = 2
# The first version with a checksum of what an index is searched by.
SEALED = 2

# Characters of a text in one row: a passage of a long text costs no more than one of a short one.
BLOCK = 2**14
# Seconds that one waits for another who writes.
_PATIENCE = 60.0
# Seconds after which one looks again, where SQLite does not wait by itself.
_PAUSE = 0.01
_MEMORY = 64 * 1024  # KiB
# What SQLite says if the file is as it was, but cannot be read or written.
_OF_SYSTEM = ("readonly", "unable to open", "disk I/O", "interrupted", "too big", "out of memory")

# Added to errors about a file that is not an index.
_MAKE = "Make one of a folder with `keras-qa index FOLDER`."

_TABLES = """
CREATE TABLE settings (name TEXT PRIMARY KEY, value) WITHOUT ROWID;
-- Files, of which each may hold several documents. `hash` is NULL while one is being read.
CREATE TABLE files (id INTEGER PRIMARY KEY, name BLOB UNIQUE NOT NULL, hash BLOB);
CREATE TABLE documents (
    id INTEGER PRIMARY KEY, name BLOB UNIQUE NOT NULL, file INTEGER, hash BLOB NOT NULL, pages BLOB
);
CREATE INDEX documents_of_files ON documents (file);
CREATE TABLE texts (
    document INTEGER, block INTEGER, text BLOB NOT NULL, PRIMARY KEY (document, block)
) WITHOUT ROWID;
-- An id is never taken twice.
CREATE TABLE passages (
    id INTEGER PRIMARY KEY AUTOINCREMENT, document INTEGER NOT NULL, start INTEGER NOT NULL,
    stop INTEGER NOT NULL, line INTEGER NOT NULL, heading BLOB NOT NULL
);
CREATE INDEX passages_of_documents ON passages (document);
-- Words of many passages, and of how many.
CREATE TABLE frequent (word TEXT PRIMARY KEY, passages INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE checksums (value INTEGER NOT NULL);
"""


def create(path: pathlib.Path) -> sqlite3.Connection:
    """Makes an empty index.

    Raises:
        FileExistsError: If something is there already.
        FileNotFoundError: If its folder does not exist.
    """
    if path.exists():
        raise FileExistsError(f"`path` exists already: {str(path)!r}. Open it, or delete it.")
    if not path.absolute().parent.is_dir():
        raise FileNotFoundError(f"`path` is in a folder that does not exist: {str(path.parent)!r}.")
    with told(path):
        connection = _connect(path)
        with transaction(connection):
            connection.execute(f"PRAGMA application_id = {APPLICATION}")
            connection.execute(f"PRAGMA user_version = {VERSION}")
            for statement in _TABLES.split(";"):
                connection.execute(statement)
        return connection


def open_(path: pathlib.Path) -> sqlite3.Connection:
    """Opens an index.

    Raises:
        FileNotFoundError: If nothing is there.
        ValueError: If it is no index, of a newer version, or cut short.
    """
    if not path.is_file():
        raise FileNotFoundError(
            f"There is no index at {str(path)!r}. Make one with `keras-qa index FOLDER --out "
            f"{path.name}`."
        )
    # It is read through SQLite alone: a file that is closed takes the locks with it that any thread
    # of the process has on it.
    with told(path), contextlib.ExitStack() as unless_used:
        connection = unless_used.enter_context(contextlib.closing(_connect(path)))
        application = connection.execute("PRAGMA application_id").fetchone()[0]
        version = version_of(connection)
        if application != APPLICATION:
            kind = "another" if path.stat().st_size else "no"
            raise ValueError(f"`{path}` is no index of keras-qa: it is {kind} SQLite file. {_MAKE}")
        if version > VERSION:
            raise ValueError(
                f"`{path}` is of version {version}, but this keras-qa reads up to {VERSION}. "
                "Install a newer keras-qa."
            )
        unless_used.pop_all()
    return connection


def version_of(connection: sqlite3.Connection) -> int:
    """The version of an index."""
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    return version


def _connect(path: pathlib.Path) -> sqlite3.Connection:
    # Who opens it locks it: threads may ask one after the other.
    connection = sqlite3.connect(
        path, timeout=_PATIENCE, isolation_level=None, check_same_thread=False
    )
    connection.execute(f"PRAGMA cache_size = -{_MEMORY}")
    connection.execute("PRAGMA temp_store = MEMORY")
    return connection


def start_writing(connection: sqlite3.Connection) -> None:
    """Lets others read while this one writes: what is new stands in a file beside the index."""
    until = time.monotonic() + _PATIENCE
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            break
        except sqlite3.OperationalError as error:
            # SQLite waits here for who reads, but not for who writes or starts to.
            if "locked" not in str(error) or time.monotonic() > until:
                raise
            time.sleep(_PAUSE)
    connection.execute("PRAGMA synchronous = NORMAL")


def stop_writing(connection: sqlite3.Connection) -> None:
    """Makes one file of both, if nobody else has it open; else whoever closes it last does."""
    with contextlib.suppress(sqlite3.OperationalError):
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    waits = connection.execute("PRAGMA busy_timeout").fetchone()[0]
    connection.execute("PRAGMA busy_timeout = 0")
    with contextlib.suppress(sqlite3.OperationalError):
        connection.execute("PRAGMA journal_mode = DELETE")
    connection.execute(f"PRAGMA busy_timeout = {waits}")


@contextlib.contextmanager
def transaction(connection: sqlite3.Connection, writes: bool = True) -> Iterator[None]:
    """All of a block, or nothing of it; and what is read in it is of one moment."""
    connection.execute("BEGIN IMMEDIATE" if writes else "BEGIN")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        # After some errors SQLite has done so by itself.
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


@contextlib.contextmanager
def told(path: str | os.PathLike[str]) -> Iterator[None]:
    """Says in a line what SQLite complains of."""
    try:
        yield
    except sqlite3.Error as error:
        said = str(error)
        if "closed database" in said:
            raise ValueError(f"`{path}` is closed. Open it with `Index.open`.") from None
        if said == "no such module: fts5":
            raise ImportError(
                f"The index needs SQLite with FTS5, which {sqlite3.sqlite_version} here lacks. If "
                "`sqlite3` was imported after TensorFlow, which has one of its own, import it, or "
                "keras_qa, before. Else install a Python whose SQLite has it."
            ) from None
        if "not a database" in said:
            raise ValueError(
                f"`{path}` is no index of keras-qa: it is no SQLite file. {_MAKE}"
            ) from None
        if "locked" in said:
            raise OSError(
                f"`{path}` is being written by another process. Try again when it is done."
            ) from None
        if "full" in said:
            raise OSError(
                f"There is no room left to write `{path}`. What was written before is kept."
            ) from None
        if any(cause in said for cause in _OF_SYSTEM):
            raise OSError(f"`{path}`: {said}.") from None
        problem = _cut_short(path) or " ".join(said.split())[:120]
        raise ValueError(
            f"`{path}` is damaged: {problem}. Delete it, and make the index again."
        ) from None


def _cut_short(path: str | os.PathLike[str]) -> str | None:
    """How much of a damaged file is there, if not all: then no locks on it matter any more."""
    with open(path, "rb") as file:
        head = file.read(100)
        size = file.seek(0, os.SEEK_END)
    page = int.from_bytes(head[16:18], "big")
    expected = int.from_bytes(head[28:32], "big") * (65536 if page == 1 else page)
    return f"it has {size:,} of {expected:,} bytes" if size < expected else None


def setting(connection: sqlite3.Connection, name: str) -> str | bytes | int | None:
    """What an index has been set to, if anything."""
    row = connection.execute("SELECT value FROM settings WHERE name = ?", (name,)).fetchone()
    value: str | bytes | int | None = None if row is None else row[0]
    return value


def encoded(text: str) -> bytes:
    """A text as it is kept."""
    return text.encode("utf-8", "surrogatepass")


def decoded(raw: bytes) -> str:
    """A text that was kept.

    Raises:
        sqlite3.DatabaseError: If it is none.
    """
    try:
        return raw.decode("utf-8", "surrogatepass")
    except (AttributeError, UnicodeDecodeError):
        raise sqlite3.DatabaseError("a text in it is not UTF-8") from None
