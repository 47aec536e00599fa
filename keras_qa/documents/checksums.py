"""Checksums of an index: one of all that it is searched by, and one of each document's text."""

from __future__ import annotations

import hashlib
import itertools
import zlib

from keras_qa.documents import storage
from keras_qa.files.sqlite import sqlite3

# Rows that are read at a time.
_ROWS = 4096
# Columns of a table, and what orders its rows. Texts have checksums of their own. Names of
# documents are also read from the index of that column.
_SMALL = {
    "sqlite_schema": (("name", "sql"), "name"),
    "settings": (("name", "value"), "name"),
    "documents": (("id", "name", "file", "hash", "pages"), "id"),
    "passages": (("id", "document", "start", "stop", "line", "heading"), "id"),
    "frequent": (("word", "passages"), "word"),
    "words_config": (("k", "v"), "k"),
    "words_docsize": (("id", "sz"), "id"),
    "words_idx": (("segid", "term", "pgno"), "segid, term"),
}
_NAMES = "SELECT quote(name) || ',' || id FROM documents ORDER BY name"
_BLOBS = {"words_data": ("id", "block"), "vectors": ("passage", "vector")}


def seal(connection: sqlite3.Connection) -> None:
    """Keeps a checksum of all that an index is searched by, in the transaction that ends a change.

    `unseal` drops it in each transaction that changes anything, so it is never out of date.
    """
    connection.execute("CREATE TABLE IF NOT EXISTS checksums (value INTEGER NOT NULL)")
    connection.execute("DELETE FROM checksums")
    connection.execute("INSERT INTO checksums VALUES (?)", (_checksum(connection),))
    connection.execute(f"PRAGMA user_version = {storage.VERSION}")


def unseal(connection: sqlite3.Connection) -> None:
    """Drops the checksum, in a transaction that changes an index."""
    if storage.version_of(connection) >= storage.SEALED:
        connection.execute("DELETE FROM checksums")


def digest_of(text: bytes, pages: bytes | None) -> bytes:
    """The checksum of a document: of its text and its pages, as they are kept."""
    return hashlib.sha256(text + b"\0" + (pages or b"")).digest()


class Verifier:
    """Verifies what is read of an index, once as long as nobody writes to it.

    An index that is being written, whose writing was interrupted, or that was made before there
    were checksums, has none for what it is searched by; documents always have one.
    """

    def __init__(self) -> None:
        self._version: int | None = None
        self._documents: set[int] = set()

    def forget_documents(self) -> None:
        """Verifies texts again from now on, as their ids may have changed."""
        self._documents = set()

    def verify(self, connection: sqlite3.Connection) -> None:
        """Verifies all that an index is searched by.

        Raises:
            sqlite3.DatabaseError: If it has changed since it was written.
        """
        # It changes when another connection has written. What this one wrote needs no check.
        version: int = connection.execute("PRAGMA data_version").fetchone()[0]
        if version == self._version:
            return
        self._version = None
        self.forget_documents()
        if storage.version_of(connection) >= storage.SEALED:
            row = connection.execute("SELECT value FROM checksums").fetchone()
            if row is not None and row[0] != _checksum(connection):
                raise sqlite3.DatabaseError("its checksum does not match its contents")
        self._version = version

    def verify_document(self, connection: sqlite3.Connection, number: int) -> None:
        """Verifies the text of a document.

        Args:
            connection: The index, after `verify`.
            number: The id of the document.

        Raises:
            sqlite3.DatabaseError: If it has changed since it was written.
        """
        if number in self._documents:
            return
        row = connection.execute(
            "SELECT name, hash, pages FROM documents WHERE id = ?", (number,)
        ).fetchone()
        if row is None:
            raise sqlite3.DatabaseError("a document is missing")
        name, digest, pages = row
        blocks = connection.execute(
            "SELECT text FROM texts WHERE document = ? ORDER BY block", (number,)
        )
        text = b"".join(_bytes_of(raw) for (raw,) in blocks)
        if digest_of(text, None if pages is None else _bytes_of(pages)) != digest:
            shown = _bytes_of(name).decode(errors="replace")
            raise sqlite3.DatabaseError(f"the checksum of {shown!r:.100} does not match its text")
        self._documents.add(number)


def _checksum(connection: sqlite3.Connection) -> int:
    known = {name for (name,) in connection.execute("SELECT name FROM sqlite_schema")}
    if "vocabulary" in known:
        # FTS5 writes new words at the end of a transaction, or when this table is read.
        connection.execute("SELECT 1 FROM vocabulary LIMIT 1").fetchone()
    crc = 0
    statements = [
        f"SELECT {' || char(44) || '.join(f'quote({name})' for name in columns)} "
        f"FROM {table} ORDER BY {order}"
        for table, (columns, order) in _SMALL.items()
        if table in known or table == "sqlite_schema"
    ]
    for statement in [*statements, _NAMES]:
        rows = connection.execute(statement)
        while some := rows.fetchmany(_ROWS):
            crc = zlib.crc32("\n".join(map(str, itertools.chain.from_iterable(some))).encode(), crc)
    for table, (key, blob) in _BLOBS.items():
        if table in known:
            rows = connection.execute(f"SELECT {key}, {blob} FROM {table} ORDER BY {key}")
            while some := rows.fetchmany(_ROWS):
                keys, blobs = zip(*some, strict=True)
                crc = zlib.crc32(repr(keys).encode(), crc)
                crc = zlib.crc32(b"".join(map(_bytes_of, blobs)), crc)
    return crc


def _bytes_of(value: object) -> bytes:
    """A value that is kept as bytes; in a damaged file it may be anything."""
    return value if isinstance(value, bytes) else repr(value).encode()
