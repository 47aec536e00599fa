"""Checksums of an index: one of everything that a search reads, and one of each document's text."""

from __future__ import annotations

import hashlib
import itertools
import zlib

from keras_qa.documents import storage
from keras_qa.files.sqlite import sqlite3

# Rows read at a time.
_ROWS = 4096
# The columns of each table, and its order. Texts are not here: each document has a checksum.
_TABLES = {
    "sqlite_schema": (("name", "sql"), "name"),
    "settings": (("name", "value"), "name"),
    "documents": (("id", "name", "file", "hash", "pages"), "id"),
    "passages": (("id", "document", "start", "stop", "line", "heading"), "id"),
    "frequent": (("word", "passages"), "word"),
    "words_config": (("k", "v"), "k"),
    "words_docsize": (("id", "sz"), "id"),
    "words_idx": (("segid", "term", "pgno"), "segid, term"),
}
# This query reads names from the database index of the column, which may be damaged as well.
_NAMES = "SELECT quote(name) || ',' || id FROM documents ORDER BY name"
_BLOBS = {"words_data": ("id", "block"), "vectors": ("passage", "vector")}


def write_checksum(connection: sqlite3.Connection) -> None:
    """Stores the checksum of everything that a search reads, at the end of a change."""
    connection.execute("CREATE TABLE IF NOT EXISTS checksums (value INTEGER NOT NULL)")
    connection.execute("DELETE FROM checksums")
    connection.execute("INSERT INTO checksums VALUES (?)", (_checksum(connection),))
    connection.execute(f"PRAGMA user_version = {storage.VERSION}")


def delete_checksum(connection: sqlite3.Connection) -> None:
    """Deletes the checksum, in every transaction that changes the index before the last one."""
    if storage.read_version(connection) >= storage.CHECKSUM_VERSION:
        connection.execute("DELETE FROM checksums")


def document_digest(text: bytes, pages: bytes | None) -> bytes:
    """Returns the checksum of a document: of its text and its pages as they are stored."""
    return hashlib.sha256(text + b"\0" + (pages or b"")).digest()


class Verifier:
    """Verifies what is read from an index, once for each change by another connection.

    The checksum for searches is missing while the index is being written, after an interrupted
    write, and in an index of an earlier version. The checksums of documents are always there.
    """

    def __init__(self) -> None:
        self._version: int | None = None
        self._documents: set[int] = set()

    def forget_documents(self) -> None:
        """Forgets which documents are verified, because their ids may have changed."""
        self._documents = set()

    def verify(self, connection: sqlite3.Connection) -> None:
        """Raises `sqlite3.DatabaseError` if anything that a search reads is damaged."""
        # `data_version` changes when another connection has written. Own changes need no check.
        version: int = connection.execute("PRAGMA data_version").fetchone()[0]
        if version == self._version:
            return
        self._version = None
        self.forget_documents()
        if storage.read_version(connection) >= storage.CHECKSUM_VERSION:
            row = connection.execute("SELECT value FROM checksums").fetchone()
            if row is not None and row[0] != _checksum(connection):
                raise sqlite3.DatabaseError("its checksum does not match its contents")
        self._version = version

    def verify_document(self, connection: sqlite3.Connection, number: int) -> None:
        """Raises `sqlite3.DatabaseError` if the text of a document is damaged.

        Args:
            connection: The index, after `verify`.
            number: Id of the document.
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
        text = b"".join(_to_bytes(raw) for (raw,) in blocks)
        if document_digest(text, None if pages is None else _to_bytes(pages)) != digest:
            shown = _to_bytes(name).decode(errors="replace")
            raise sqlite3.DatabaseError(f"the checksum of {shown!r:.100} does not match its text")
        self._documents.add(number)


def _checksum(connection: sqlite3.Connection) -> int:
    known = {name for (name,) in connection.execute("SELECT name FROM sqlite_schema")}
    if "vocabulary" in known:
        # Reading this table makes FTS5 write the words that it holds in memory.
        connection.execute("SELECT 1 FROM vocabulary LIMIT 1").fetchone()
    crc = 0
    statements = [
        f"SELECT {' || char(44) || '.join(f'quote({name})' for name in columns)} "
        f"FROM {table} ORDER BY {order}"
        for table, (columns, order) in _TABLES.items()
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
                crc = zlib.crc32(b"".join(map(_to_bytes, blobs)), crc)
    return crc


def _to_bytes(value: object) -> bytes:
    """Returns a blob; a damaged file may have a value of any type in its place."""
    return value if isinstance(value, bytes) else repr(value).encode()
