"""Writes documents to an index and removes them, several documents in a transaction."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterable, Iterator

from keras_qa.data.sqlite import sqlite3
from keras_qa.documents import storage
from keras_qa.documents.document import Document
from keras_qa.documents.full_text import create_words, detect_language, split_unspaced
from keras_qa.documents.passages import EncodedDocument, add_heading, encode_document
from keras_qa.documents.storage import get_setting
from keras_qa.documents.vector_search import (
    STORED,
    Floats,
    TextEmbedderLike,
    read_encoder_name,
    unit_vectors,
)
from keras_qa.documents.visible_text import visible_part
from keras_qa.documents.workers import Pool

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
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        encoder: TextEmbedderLike | None = None,
        pool: Pool | None = None,
    ) -> None:
        self._connection = connection
        self._encoder = encoder
        self._pool = pool
        self._pending = 0
        # Encoded batches in a transaction. With less than four for each process, some would wait
        # for the others at its end.
        self._most = 1 if pool is None else 4 * pool.size
        # Texts of passages that have no vectors yet, by id.
        self._unencoded: dict[int, str] = {}
        # Ids and texts of batches, and functions that return their vectors.
        self._encoding: list[tuple[list[int], list[str], Callable[[], Floats]]] = []

    def __enter__(self) -> Writer:
        return self

    def __exit__(self, kind: type[BaseException] | None, *others: object) -> None:
        try:
            if kind is None:
                self._count_frequent()
                self._encode()
                storage.write_checksum(self._connection)
                self._commit()
        finally:
            if self._connection.in_transaction:
                self._run("ROLLBACK")

    def begin(self) -> None:
        """Begins a transaction, unless there is one."""
        if not self._connection.in_transaction:
            self._run("BEGIN IMMEDIATE")
            # The checksum is missing until the end of the change.
            self._run("DELETE FROM checksums")

    def set_language(self, documents: Iterator[Document]) -> list[Document]:
        """Detects the language from the first documents, unless it is known, and returns them."""
        first: list[Document] = []
        if get_setting(self._connection, "language", str) is None:
            size = 0
            for document in documents:
                first.append(document)
                size += len(document.text)
                if size >= SAMPLE:
                    break
            self.begin()
            language = detect_language("\n".join(document.text for document in first))
            create_words(self._connection, language)
        return first

    def write_all(self, documents: Iterator[Document]) -> int:
        """Writes documents, and returns how many are new or have changed."""
        first = self.set_language(documents)
        every = map(encode_document, itertools.chain(first, documents))
        return sum(self._write(document) for document in every)

    def write_file(
        self, name: str, digest: bytes, documents: Iterable[EncodedDocument], rewrites: bool = False
    ) -> tuple[int, int]:
        """Writes the documents of a file, and removes those that it no longer contains.

        `rewrites` writes unchanged documents again, too. Returns how many documents are new or have
        changed, and how many were removed.
        """
        self.begin()
        key = (storage.encode_text(name),)
        # An update that is interrupted before the hash is known reads the file again.
        self._run(
            "INSERT INTO files (name) VALUES (?) ON CONFLICT (name) DO UPDATE SET hash = NULL", key
        )
        (file,) = self._run("SELECT id FROM files WHERE name = ?", key).fetchone()
        written = 0
        names: set[bytes] = set()
        for document in documents:
            written += self._write(document, file, rewrites)
            names.add(document.name)
        rows = self._run("SELECT id, name FROM documents WHERE file = ?", (file,))
        removed = self._remove([number for number, name in rows.fetchall() if name not in names])
        self.begin()
        self._run("UPDATE files SET hash = ? WHERE id = ?", (digest, file))
        return written, removed

    def remove_file(self, name: str) -> int:
        """Removes a file with all its documents, and returns their number."""
        row = self._run(
            "SELECT id FROM files WHERE name = ?", (storage.encode_text(name),)
        ).fetchone()
        if row is None:
            return 0
        rows = self._run("SELECT id FROM documents WHERE file = ?", row)
        removed = self._remove([number for (number,) in rows.fetchall()])
        self.begin()
        self._run("DELETE FROM files WHERE id = ?", row)
        return removed

    def remove(self, name: str) -> bool:
        """Removes a document, and returns whether it existed."""
        rows = self._run("SELECT id FROM documents WHERE name = ?", (storage.encode_text(name),))
        return bool(self._remove([number for (number,) in rows.fetchall()]))

    def write_setting(self, name: str, value: str | bytes | int) -> None:
        """Writes a setting of the index."""
        self.begin()
        self._run("INSERT OR REPLACE INTO settings VALUES (?, ?)", (name, value))

    def add_settings(self, language: str | None, encoder: TextEmbedderLike | None) -> None:
        """Creates tables of words and of vectors, unless they exist or the argument is `None`."""
        self.begin()
        if language is not None and get_setting(self._connection, "language", str) is None:
            create_words(self._connection, language)
        if encoder is not None and read_encoder_name(self._connection) is None:
            self._run(storage.VECTORS)
            self.write_setting("encoder", storage.encode_text(encoder.name))
            self._encoder = encoder
            self.encode_missing()

    def encode_missing(self) -> None:
        """Writes the vectors of passages that were written before the index had an encoder."""
        last = 0
        while self._encoder is not None:
            rows = self._run(
                "SELECT id, document, start, stop, heading FROM passages WHERE id > ? AND id NOT "
                "IN (SELECT passage FROM vectors) ORDER BY id LIMIT ?",
                (last, ENCODED),
            ).fetchall()
            if not rows:
                break
            self.begin()
            for document in {row[1] for row in rows}:
                storage.verify_document(self._connection, document)
            for last, document, start, stop, heading in rows:
                source = storage.read_text(self._connection, document, start, stop)
                edits = storage.read_edits(self._connection, document)
                text = visible_part(source, edits, start).text
                self._unencoded[last] = add_heading(storage.decode_text(heading), text)
            self._pending += len(rows)
            self._end_document()

    def _write(
        self, document: EncodedDocument, file: int | None = None, rewrites: bool = False
    ) -> bool:
        """Writes a document of a file, and returns whether it is new or has changed."""
        self.begin()
        row = self._run(
            "SELECT id, hash, file FROM documents WHERE name = ?", (document.name,)
        ).fetchone()
        if row is not None and row[1] == document.digest and not rewrites:
            if row[2] != file:
                self._run("UPDATE documents SET file = ? WHERE id = ?", (file, row[0]))
            return False
        if row is not None:
            self._delete(row[0])
        number = self._run(
            "INSERT INTO documents (name, file, hash, pages, markup) VALUES (?, ?, ?, ?, ?)",
            (document.name, file, document.digest, document.pages, document.markup),
        ).lastrowid
        self._many(
            "INSERT INTO texts VALUES (?, ?, ?)",
            ((number, at, block) for at, block in enumerate(document.blocks)),
        )
        for start, stop, line, heading, text, words in document.passages:
            passage = self._run(
                "INSERT INTO passages (document, start, stop, line, heading) "
                "VALUES (?, ?, ?, ?, ?)",
                (number, start, stop, line, heading),
            ).lastrowid
            assert passage is not None
            self._run("INSERT INTO words (rowid, text) VALUES (?, ?)", (passage, words))
            if self._encoder is not None:
                self._unencoded[passage] = text
            self._pending += 1
        self._end_document()
        return True

    def _remove(self, numbers: list[int]) -> int:
        """Removes documents, and returns their number."""
        for number in numbers:
            self._delete(number)
            self._end_document()
        return len(numbers)

    def _delete(self, number: int) -> None:
        self.begin()
        # A contentless FTS5 table needs the text to delete its words: verify it first.
        storage.verify_document(self._connection, number)
        text = storage.read_text(self._connection, number)
        edits = storage.read_edits(self._connection, number)
        rows = self._run(
            "SELECT id, start, stop, heading FROM passages WHERE document = ?", (number,)
        ).fetchall()
        for id, start, stop, heading in rows:
            part = visible_part(text[start:stop], edits, start).text
            body = add_heading(storage.decode_text(heading), part)
            self._run(
                "INSERT INTO words (words, rowid, text) VALUES ('delete', ?, ?)",
                (id, split_unspaced(body)),
            )
        if read_encoder_name(self._connection) is not None:
            for id, *_ in rows:
                self._unencoded.pop(id, None)
            self._many("DELETE FROM vectors WHERE passage = ?", ((id,) for id, *_ in rows))
        for table, column in (("passages", "document"), ("texts", "document"), ("documents", "id")):
            self._run(f"DELETE FROM {table} WHERE {column} = ?", (number,))
        self._pending += len(rows)

    def _end_document(self) -> None:
        # Documents without passages count as well, which limits the transaction.
        self._pending += 1
        if self._pending >= (BATCH if self._encoder is None else min(BATCH, ENCODED)):
            # The batches, and so the vectors, do not depend on the number of processes.
            self._start_encoding()
            self._pending = 0
            if not 0 < len(self._encoding) < self._most:
                self._commit()

    def _commit(self) -> None:
        """Commits the transaction, after all passages in it have vectors."""
        self._encode()
        self._run("COMMIT")
        self._pending = 0

    def _start_encoding(self) -> None:
        """Sends the passages without vectors to the workers, if there are any."""
        while self._encoder is not None and self._unencoded:
            ids = list(itertools.islice(self._unencoded, ENCODED))
            texts = [self._unencoded.pop(id) for id in ids]
            encode: Callable[[], Floats] = functools.partial(self._encoder, texts)
            if self._pool is not None:
                encode = self._pool.submit(texts)
            self._encoding.append((ids, texts, encode))

    def _encode(self) -> None:
        """Writes the vectors of the passages that have none."""
        if self._encoder is None:
            return
        self._start_encoding()
        for ids, texts, encode in self._encoding:
            dimension = get_setting(self._connection, "dimension", int)
            vectors = unit_vectors(encode(), texts, self._encoder.name, dimension)
            if dimension is None:
                self.write_setting("dimension", vectors.shape[1])
            stored = (row.tobytes() for row in vectors.astype(STORED))
            # A passage may have been deleted since.
            rows = zip(stored, ids, strict=True)
            self._many("INSERT INTO vectors SELECT id, ? FROM passages WHERE id = ?", rows)
        self._encoding.clear()

    def _count_frequent(self) -> None:
        """Counts the passages of frequent words, if the number of passages has changed enough."""
        self.begin()
        total = self._run("SELECT count(*) FROM passages").fetchone()[0]
        before = get_setting(self._connection, "counted", int) or 0
        if total == before or abs(total - before) <= _RECOUNT * before:
            return
        self._run("DELETE FROM frequent")
        self._run(
            "INSERT INTO frequent SELECT term, doc FROM vocabulary WHERE doc > ? AND term <> ''",
            (FREQUENT * total,),
        )
        self.write_setting("counted", total)

    def _run(self, statement: str, values: tuple[object, ...] = ()) -> sqlite3.Cursor:
        return self._connection.execute(statement, values)

    def _many(self, statement: str, rows: Iterable[tuple[object, ...]]) -> None:
        self._connection.executemany(statement, rows)
