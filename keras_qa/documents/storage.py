"""The SQLite file of an index: tables, transactions, checksums, and translation of SQLite's errors.

Texts and names are stored as UTF-8 blobs, because they may contain lone surrogates.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import itertools
import os
import pathlib
import struct
import sys
import zlib
from collections.abc import Iterator
from typing import TypeVar

from keras_qa._arguments import to_integer, to_optional_integer
from keras_qa.data.sqlite import connect, sqlite3, transaction
from keras_qa.documents.full_text import create_words
from keras_qa.documents.visible_text import Edit, decode_edits

_Value = TypeVar("_Value")

# "kqai": identifies an index among other SQLite files.
APPLICATION = 0x6B716169
VERSION = 1
# How files are read and split. Increase it if either changes: the next update reads all files.
READING = 1

# Characters of a text in one row. Reading a passage reads only the rows that it is in.
BLOCK = 2**14
# Seconds to wait for another connection that writes.
TIMEOUT = 60.0
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

# Files contain these statements, and must have the same ones: no letter of them ever changes.
_TABLES = """
CREATE TABLE settings (name TEXT PRIMARY KEY, value) WITHOUT ROWID;
-- A file may contain several documents. `hash` is NULL while the file is being indexed.
CREATE TABLE files (id INTEGER PRIMARY KEY, name BLOB UNIQUE NOT NULL, hash BLOB);
CREATE TABLE documents (
    id INTEGER PRIMARY KEY, name BLOB UNIQUE NOT NULL, file INTEGER, hash BLOB NOT NULL, pages BLOB,
    -- Edits and headings, see `visible_text.encode_markup`.
    markup BLOB
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
# Made with the first encoder, as `create_words` makes tables with the first text.
VECTORS = "CREATE TABLE vectors (passage INTEGER PRIMARY KEY, vector BLOB NOT NULL)"

# Rows read at a time.
_ROWS = 4096
# The columns of each table, and its order. Texts are not here: each document has a checksum.
_CHECKED = {
    "sqlite_schema": (("name", "sql"), "name"),
    "settings": (("name", "value"), "name"),
    "files": (("id", "name", "hash"), "id"),
    "documents": (("id", "name", "file", "hash", "pages"), "id"),
    "passages": (("id", "document", "start", "stop", "line", "heading"), "id"),
    "frequent": (("word", "passages"), "word"),
    "words_config": (("k", "v"), "k"),
    "words_docsize": (("id", "sz"), "id"),
    "words_idx": (("segid", "term", "pgno"), "segid, term"),
}
_SCHEMA = "SELECT type, name, tbl_name, sql FROM sqlite_schema"
# This query reads names from the database index of the column, which may be damaged as well.
_NAMES = "SELECT quote(name) || ',' || id FROM documents ORDER BY name"
_BLOBS = {"words_data": ("id", "block"), "vectors": ("passage", "vector")}


def create_file(path: pathlib.Path) -> sqlite3.Connection:
    """Creates an empty index. Raises the errors of `Index.create`."""
    if path.exists():
        raise FileExistsError(
            f"`path` exists already: {str(path)!r}. Open it with `Index.open`, pass "
            "`exist_ok=True`, or delete it."
        )
    if not path.absolute().parent.is_dir():
        raise FileNotFoundError(f"`path` is in a folder that does not exist: {str(path.parent)!r}.")
    with translate_sqlite_errors(path):
        connection = _connect(path)
        with transaction(connection):
            connection.execute(f"PRAGMA application_id = {APPLICATION}")
            connection.execute(f"PRAGMA user_version = {VERSION}")
            _create_tables(connection)
        return connection


def open_file(path: pathlib.Path, timeout: float) -> sqlite3.Connection:
    """Opens an index. Raises the errors of `Index.open`."""
    if not path.is_file():
        raise FileNotFoundError(
            f"There is no index at {str(path)!r}. Make one with `keras-qa index FOLDER --output "
            f"{path.name}`."
        )
    # Read the file through SQLite only: closing any other handle of the process on it would
    # release the POSIX locks that other threads hold.
    with translate_sqlite_errors(path), contextlib.ExitStack() as on_error:
        connection = on_error.enter_context(contextlib.closing(_connect(path, timeout)))
        application = connection.execute("PRAGMA application_id").fetchone()[0]
        version = connection.execute("PRAGMA user_version").fetchone()[0]
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
        _check_schema(connection)
        on_error.pop_all()
    return connection


def _create_tables(connection: sqlite3.Connection) -> None:
    for statement in _TABLES.split(";"):
        connection.execute(statement)


def _check_schema(connection: sqlite3.Connection) -> None:
    """Raises `sqlite3.DatabaseError` if there is a view, a trigger or another foreign object."""
    # Such objects run statements of their own in a search or an update.
    for row in connection.execute(_SCHEMA):
        if row not in _known_objects():
            raise sqlite3.DatabaseError(f"its {row[0]} {row[1]!r:.60} is not that of an index")


@functools.cache
def _known_objects() -> frozenset[tuple[object, ...]]:
    """Returns all tables and indexes that an index may have, with their SQL."""
    objects: set[tuple[object, ...]] = set()
    for language in ("en", "und"):
        with contextlib.closing(sqlite3.connect(":memory:")) as connection:
            _create_tables(connection)
            create_words(connection, language)
            connection.execute(VECTORS)
            objects.update(connection.execute(_SCHEMA))
    return frozenset(objects)


def _connect(path: pathlib.Path, timeout: float = TIMEOUT) -> sqlite3.Connection:
    connection = connect(path, timeout)
    connection.execute(f"PRAGMA cache_size = -{_MEMORY}")
    # Others can read until a transaction is committed if nothing of it is written before.
    connection.execute("PRAGMA cache_spill = OFF")
    return connection


@contextlib.contextmanager
def translate_sqlite_errors(path: str | os.PathLike[str]) -> Iterator[None]:
    """Translates errors of SQLite into errors of one line that name the file."""
    try:
        yield
    except sqlite3.Error as error:
        message = str(error)
        if "closed database" in message:
            raise ValueError(f"`{path}` is closed. Open it with `Index.open`.") from None
        if message == "no such module: fts5":
            raise ImportError(
                f"The index needs SQLite with FTS5, which SQLite {sqlite3.sqlite_version} lacks. "
                "If `sqlite3` was imported after TensorFlow, import it, or keras_qa, first. "
                "Otherwise install a Python whose SQLite has FTS5."
            ) from None
        if "not a database" in message:
            raise ValueError(
                f"`{path}` is not an index of keras-qa: it is not an SQLite file. {_MAKE}"
            ) from None
        if "locked" in message:
            raise OSError(
                f"`{path}` is being written by another process. Try again when it is done."
            ) from None
        if "full" in message:
            raise OSError(
                f"The disk is full, so `{path}` cannot be written. Earlier changes are kept."
            ) from None
        if any(cause in message for cause in _SYSTEM_ERRORS):
            raise OSError(f"`{path}`: {message}.") from None
        problem = " ".join(message.split())[:120]
        raise ValueError(
            f"`{path}` is damaged: {problem}. Delete it, and make the index again."
        ) from None


def get_setting(connection: sqlite3.Connection, name: str, kind: type[_Value]) -> _Value | None:
    """Returns a setting of the index, or `None`."""
    row = connection.execute("SELECT value FROM settings WHERE name = ?", (name,)).fetchone()
    if row is not None and not isinstance(row[0], kind):
        raise sqlite3.DatabaseError(f"its {name} is not readable")
    return None if row is None else row[0]


def encode_text(text: str) -> bytes:
    """Encodes a text as it is stored."""
    return text.encode("utf-8", "surrogatepass")


def decode_text(raw: bytes) -> str:
    """Decodes a stored text. A damaged one raises `sqlite3.DatabaseError`."""
    try:
        return raw.decode("utf-8", "surrogatepass")
    except (AttributeError, UnicodeDecodeError):
        raise sqlite3.DatabaseError("a text in it is not UTF-8") from None


def read_text(
    connection: sqlite3.Connection, number: int, start: int = 0, end: int | None = None
) -> str:
    """Reads the text of a document, from one offset to another."""
    start = to_integer("start", start, 0, sys.maxsize)
    end = to_optional_integer("end", end, 0, sys.maxsize)
    first = start // BLOCK
    last = sys.maxsize if end is None else max(end - 1, 0) // BLOCK
    rows = connection.execute(
        "SELECT text FROM texts WHERE document = ? AND block BETWEEN ? AND ? ORDER BY block",
        (number, first, last),
    )
    text = "".join(decode_text(raw) for (raw,) in rows)
    begin = first * BLOCK
    return text[start - begin : None if end is None else end - begin]


def read_edits(connection: sqlite3.Connection, number: int) -> list[Edit]:
    """Reads the edits of a document. Damaged ones raise `sqlite3.DatabaseError`."""
    (raw,) = connection.execute("SELECT markup FROM documents WHERE id = ?", (number,)).fetchone()
    try:
        return decode_edits(raw)
    except (TypeError, ValueError, IndexError):
        raise sqlite3.DatabaseError("the edits of a document are not readable") from None


def decode_pages(raw: bytes | None) -> tuple[int, ...]:
    """Decodes the offsets of pages, as `documents.pages` has them."""
    return struct.unpack(f"<{len(raw) // 8}Q", raw) if raw else ()


def write_checksum(connection: sqlite3.Connection) -> None:
    """Stores the checksum of everything that a search reads, at the end of a change."""
    connection.execute("DELETE FROM checksums")
    connection.execute("INSERT INTO checksums VALUES (?)", (_checksum(connection),))


def document_digest(text: bytes, pages: bytes | None, markup: bytes | None) -> bytes:
    """Returns the checksum of a document: of its text, pages and markup as they are stored."""
    return hashlib.sha256(text + b"\0" + (pages or b"") + b"\0" + (markup or b"")).digest()


def verify_checksum(connection: sqlite3.Connection) -> None:
    """Raises `sqlite3.DatabaseError` if anything that a search reads is damaged."""
    # The checksum is missing while the index is being written, and after an interrupted write.
    row = connection.execute("SELECT value FROM checksums").fetchone()
    if row is not None and row[0] != _checksum(connection):
        raise sqlite3.DatabaseError("its checksum does not match its contents")


def verify_document(connection: sqlite3.Connection, number: int) -> None:
    """Raises `sqlite3.DatabaseError` if the text of a document is damaged."""
    row = connection.execute(
        "SELECT name, hash, pages, markup FROM documents WHERE id = ?", (number,)
    ).fetchone()
    if row is None:
        raise sqlite3.DatabaseError("a document is missing")
    name, digest, *others = row
    rows = connection.execute(
        "SELECT block, text FROM texts WHERE document = ? ORDER BY block", (number,)
    ).fetchall()
    blocks = [_to_bytes(raw) for _, raw in rows]
    pages, markup = (None if value is None else _to_bytes(value) for value in others)
    shown = _to_bytes(name).decode(errors="replace")
    if document_digest(b"".join(blocks), pages, markup) != digest:
        raise sqlite3.DatabaseError(f"the checksum of {shown!r:.100} does not match its text")
    # `read_text` computes the numbers of blocks from offsets.
    is_numbered = [number for number, _ in rows] == list(range(len(rows)))
    if not is_numbered or any(len(decode_text(block)) != BLOCK for block in blocks[:-1]):
        raise sqlite3.DatabaseError(f"the text of {shown!r:.100} is in wrong blocks")


def _checksum(connection: sqlite3.Connection) -> int:
    existing = {name for (name,) in connection.execute("SELECT name FROM sqlite_schema")}
    if "vocabulary" in existing:
        # Reading this table makes FTS5 write the words that it holds in memory.
        connection.execute("SELECT 1 FROM vocabulary LIMIT 1").fetchone()
    # SQLite joins the columns of a row faster than Python.
    statements = [
        f"SELECT {' || char(44) || '.join(f'quote({name})' for name in columns)} "
        f"FROM {table} ORDER BY {order}"
        for table, (columns, order) in _CHECKED.items()
        if table in existing or table == "sqlite_schema"
    ]
    crc = 0
    for statement in [*statements, _NAMES]:
        rows = connection.execute(statement)
        while batch := rows.fetchmany(_ROWS):
            line = "\n".join(map(str, itertools.chain.from_iterable(batch)))
            crc = zlib.crc32(line.encode(), crc)
    for table, (key, blob) in _BLOBS.items():
        if table in existing:
            rows = connection.execute(f"SELECT {key}, {blob} FROM {table} ORDER BY {key}")
            while batch := rows.fetchmany(_ROWS):
                keys, blobs = zip(*batch, strict=True)
                crc = zlib.crc32(repr(keys).encode(), crc)
                crc = zlib.crc32(b"".join(map(_to_bytes, blobs)), crc)
    return crc


def _to_bytes(value: object) -> bytes:
    """Returns a blob; a damaged file may have a value of any type in its place."""
    return value if isinstance(value, bytes) else repr(value).encode()
