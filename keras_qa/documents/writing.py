"""Writes documents to an index and removes them, several documents in a transaction."""

from __future__ import annotations

import itertools
import struct
import sys
from collections.abc import Iterable, Iterator

from keras_qa.documents import storage
from keras_qa.documents.checksums import (
    Verifier,
    delete_checksum,
    document_digest,
    write_checksum,
)
from keras_qa.documents.document import Document
from keras_qa.documents.full_text import detect_language, split_unspaced, tokenizer_options
from keras_qa.documents.passages import Part, passages
from keras_qa.documents.storage import get_setting
from keras_qa.documents.vector_search import (
    Encoder,
    encode_vectors,
    read_dimension,
    read_encoder_name,
    unit_vectors,
)
from keras_qa.files.sqlite import sqlite3

# Passages in a transaction. A transaction contains at least one document.
BATCH = 2_000
# Passages encoded at a time. It is also the size of a transaction with vectors, since other writers
# wait while the passages are encoded.
ENCODED = 256
# Characters of the first texts from which the language is detected.
SAMPLE = 20_000
# Words in more than this share of the passages are stored with their counts.
FREQUENT = 0.01
# Count again if the number of passages has changed by this share.
_RECOUNT = 0.1


class Writer:
    """Writes to an index, in a `with` block.

    Documents are committed in batches. An error rolls back the batch in which it occurs.

    Args:
        connection: The index.
        encoder: Encoder of its vectors. `None` if it has no vectors, or if nothing is added.

    Attributes:
        encodes: Whether passages get vectors.
    """

    def __init__(self, connection: sqlite3.Connection, encoder: Encoder | None = None) -> None:
        self._connection = connection
        self._encoder = encoder
        self.encodes = encoder is not None
        self._pending = 0
        # Texts of passages that have no vectors yet, by id.
        self._unencoded: dict[int, str] = {}

    def __enter__(self) -> Writer:
        storage.start_writing(self._connection)
        self._run("CREATE TEMP TABLE IF NOT EXISTS seen (document INTEGER PRIMARY KEY)")
        return self

    def __exit__(self, kind: type[BaseException] | None, *others: object) -> None:
        try:
            if kind is None:
                self._count_frequent()
                self._encode(1)
                write_checksum(self._connection)
                self.commit()
        finally:
            if self._connection.in_transaction:
                self._run("ROLLBACK")
            storage.stop_writing(self._connection)

    def begin(self) -> None:
        """Begins a transaction, unless there is one."""
        if not self._connection.in_transaction:
            self._run("BEGIN IMMEDIATE")
            delete_checksum(self._connection)

    def commit(self) -> None:
        """Commits the transaction, after all passages in it have vectors."""
        self._encode(1)
        if self._connection.in_transaction:
            self._run("COMMIT")
        self._pending = 0

    def set_language(self, sample: str) -> None:
        """Creates the table of words for the language of the sample, unless the table exists."""
        self.begin()
        if get_setting(self._connection, "language") is None:
            create_words(self._connection, detect_language(sample))

    def write_all(self, documents: Iterator[Document]) -> int:
        """Writes documents, and returns how many are new or have changed."""
        first: list[Document] = []
        size = 0
        while get_setting(self._connection, "language") is None and size < SAMPLE:
            document = next(documents, None)
            if document is None:
                break
            first.append(document)
            size += len(document.text)
        self.set_language("\n".join(document.text for document in first))
        return sum(self.write(document) for document in itertools.chain(first, documents))

    def write(self, document: Document, file: int | None = None) -> bool:
        """Writes a document, which replaces one of the same name.

        Args:
            document: The document.
            file: Id of its file.

        Returns:
            Whether it is new or has changed.
        """
        self.begin()
        name, text = storage.encode_text(document.name), storage.encode_text(document.text)
        pages = struct.pack(f"<{len(document.pages)}Q", *document.pages) or None
        digest = document_digest(text, pages)
        row = self._run("SELECT id, hash, file FROM documents WHERE name = ?", (name,)).fetchone()
        if row is not None and row[1] == digest:
            if row[2] != file:
                self._run("UPDATE documents SET file = ? WHERE id = ?", (file, row[0]))
            self._run("INSERT OR IGNORE INTO seen VALUES (?)", (row[0],))
            return False
        if row is not None:
            self._delete(row[0])
        inserted = self._run(
            "INSERT INTO documents (name, file, hash, pages) VALUES (?, ?, ?, ?)",
            (name, file, digest, pages),
        )
        number = inserted.lastrowid
        assert number is not None
        self._run("INSERT OR IGNORE INTO seen VALUES (?)", (number,))
        self._many(
            "INSERT INTO texts VALUES (?, ?, ?)",
            (
                (number, at, storage.encode_text(document.text[start : start + storage.BLOCK]))
                for at, start in enumerate(range(0, len(document.text), storage.BLOCK))
            ),
        )
        self._write_passages(number, document.text)
        self._end_document()
        return True

    def _write_passages(self, number: int, text: str) -> None:
        first = self._run("SELECT seq FROM sqlite_sequence WHERE name = 'passages'").fetchone()
        free = (first[0] if first else 0) + 1
        line, at = 1, 0
        for parts in _batches(passages(text)):
            rows: list[tuple[int, int, int, int, int, bytes]] = []
            for part in parts:
                line, at = line + text.count("\n", at, part.start), part.start
                heading = storage.encode_text(part.heading)
                rows.append((free + len(rows), number, part.start, part.end, line, heading))
            self._many(
                "INSERT INTO passages (id, document, start, stop, line, heading) "
                "VALUES (?, ?, ?, ?, ?, ?)",
                rows,
            )
            self._many(
                "INSERT INTO words (rowid, text) VALUES (?, ?)",
                (
                    (row[0], searchable_text(part.heading, text[part.start : part.end]))
                    for row, part in zip(rows, parts, strict=True)
                ),
            )
            if self._encoder is not None:
                for row, part in zip(rows, parts, strict=True):
                    self._unencoded[row[0]] = with_heading(
                        part.heading, text[part.start : part.end]
                    )
                self._encode(ENCODED)
            free += len(rows)
            self._pending += len(rows)

    def _encode(self, least: int) -> None:
        """Writes the vectors of passages that have none, if there are at least so many."""
        while self._encoder is not None and len(self._unencoded) >= least:
            ids = list(itertools.islice(self._unencoded, ENCODED))
            texts = [self._unencoded.pop(id) for id in ids]
            known = read_dimension(self._connection)
            vectors = unit_vectors(self._encoder, texts, known)
            if known is None:
                self.write_setting("dimension", vectors.shape[1])
            rows = zip(ids, encode_vectors(vectors), strict=True)
            self._many("INSERT INTO vectors VALUES (?, ?)", rows)

    def remove(self, name: str) -> bool:
        """Removes a document, and returns whether it existed."""
        self.begin()
        key = (storage.encode_text(name),)
        row = self._run("SELECT id FROM documents WHERE name = ?", key).fetchone()
        if row is not None:
            self._delete(row[0])
            self._end_document()
        return row is not None

    def start_file(self, name: str) -> int:
        """Begins to write the documents of a file, and returns the id of the file."""
        self.begin()
        key = storage.encode_text(name)
        self._run("INSERT INTO files (name) VALUES (?) ON CONFLICT (name) DO NOTHING", (key,))
        self._run("UPDATE files SET hash = NULL WHERE name = ?", (key,))
        self._run("DELETE FROM seen")
        number: int = self._run("SELECT id FROM files WHERE name = ?", (key,)).fetchone()[0]
        return number

    def is_written(self, document: str) -> bool:
        """Whether a document of this name has been written since `start_file`."""
        key = (storage.encode_text(document),)
        return bool(
            self._run(
                "SELECT 1 FROM documents WHERE name = ? AND id IN (SELECT document FROM seen)", key
            ).fetchone()
        )

    def end_file(self, file: int, digest: bytes) -> int:
        """Removes the documents that the file no longer contains, and returns their number.

        Args:
            file: Id of the file.
            digest: Hash of its content.
        """
        self.begin()
        gone = self._run(
            "SELECT id FROM documents WHERE file = ? AND id NOT IN (SELECT document FROM seen)",
            (file,),
        ).fetchall()
        for (number,) in gone:
            self._delete(number)
        self._run("UPDATE files SET hash = ? WHERE id = ?", (digest, file))
        self._end_document()
        return len(gone)

    def remove_file(self, name: str) -> int:
        """Removes a file with all its documents, and returns their number."""
        key = (storage.encode_text(name),)
        self.begin()
        row = self._run("SELECT id FROM files WHERE name = ?", key).fetchone()
        if row is None:
            return 0
        gone = 0
        while True:
            self.begin()
            found = self._run("SELECT id FROM documents WHERE file = ? LIMIT 1", row).fetchone()
            if found is None:
                break
            self._delete(found[0])
            self._end_document()
            gone += 1
        self._run("DELETE FROM files WHERE id = ?", row)
        return gone

    def _delete(self, number: int) -> None:
        # A contentless FTS5 table needs the text to delete its words: verify it first.
        Verifier().verify_document(self._connection, number)
        text = read_text(self._connection, number)
        rows = self._run(
            "SELECT id, start, stop, heading FROM passages WHERE document = ?", (number,)
        ).fetchall()
        self._many(
            "INSERT INTO words (words, rowid, text) VALUES ('delete', ?, ?)",
            (
                (id, searchable_text(storage.decode_text(heading), text[start:stop]))
                for id, start, stop, heading in rows
            ),
        )
        if read_encoder_name(self._connection) is not None:
            for id, *_ in rows:
                self._unencoded.pop(id, None)
            self._many("DELETE FROM vectors WHERE passage = ?", ((id,) for id, *_ in rows))
        for table in ("passages", "texts"):
            removed = self._run(f"DELETE FROM {table} WHERE document = ?", (number,)).rowcount
            self._pending += removed
        self._run("DELETE FROM documents WHERE id = ?", (number,))

    def _end_document(self) -> None:
        # Documents without passages count as well, which limits the transaction.
        self._pending += 1
        if self._pending >= (BATCH if self._encoder is None else min(BATCH, ENCODED)):
            self.commit()

    def _count_frequent(self) -> None:
        """Counts the passages of frequent words, if the number of passages has changed enough."""
        self.begin()
        total = self._run("SELECT count(*) FROM passages").fetchone()[0]
        before = int(get_setting(self._connection, "counted") or 0)
        if total == before or abs(total - before) <= _RECOUNT * before:
            return
        self._run("DELETE FROM frequent")
        self._run(
            "INSERT INTO frequent SELECT term, doc FROM vocabulary WHERE doc > ? AND term <> ''",
            (FREQUENT * total,),
        )
        self.write_setting("counted", total)

    def write_setting(self, name: str, value: str | bytes | int) -> None:
        """Writes a setting of the index."""
        self.begin()
        self._run("INSERT OR REPLACE INTO settings VALUES (?, ?)", (name, value))

    def _run(self, statement: str, values: tuple[object, ...] = ()) -> sqlite3.Cursor:
        return self._connection.execute(statement, values)

    def _many(self, statement: str, rows: Iterable[tuple[object, ...]]) -> None:
        self._connection.executemany(statement, rows)


def create_words(connection: sqlite3.Connection, language: str) -> None:
    """Creates the full-text table for a language."""
    options = tokenizer_options(language)
    connection.execute(
        f"CREATE VIRTUAL TABLE words USING fts5(text, content='', tokenize=\"{options}\")"
    )
    connection.execute("INSERT INTO settings VALUES ('language', ?)", (language,))
    connection.execute("CREATE VIRTUAL TABLE vocabulary USING fts5vocab(words, row)")


def searchable_text(heading: str, text: str) -> str:
    """Returns the text of a passage for the full-text table."""
    return split_unspaced(with_heading(heading, text))


def with_heading(heading: str, text: str) -> str:
    """Returns a passage with its headings in front."""
    return f"{heading}\n{text}" if heading else text


def read_text(
    connection: sqlite3.Connection, number: int, start: int = 0, end: int | None = None
) -> str:
    """Reads the text of a document, from one offset to another."""
    first = start // storage.BLOCK
    last = sys.maxsize if end is None else max(end - 1, 0) // storage.BLOCK
    rows = connection.execute(
        "SELECT text FROM texts WHERE document = ? AND block BETWEEN ? AND ? ORDER BY block",
        (number, first, last),
    )
    text = "".join(storage.decode_text(raw) for (raw,) in rows)
    begin = first * storage.BLOCK
    return text[start - begin : None if end is None else end - begin]


def _batches(parts: Iterator[Part]) -> Iterator[list[Part]]:
    while batch := list(itertools.islice(parts, BATCH)):
        yield batch
