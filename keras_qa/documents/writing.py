"""How documents get into an index and out of it: whole ones only, many in a transaction."""

from __future__ import annotations

import itertools
import struct
import sys
from collections.abc import Iterable, Iterator
from types import TracebackType

from keras_qa.documents import storage
from keras_qa.documents.checksums import Verifier, digest_of, seal, unseal
from keras_qa.documents.document import Document
from keras_qa.documents.passages import Part, passages
from keras_qa.documents.storage import setting
from keras_qa.documents.vectors import Encoder, as_kept, dimension_of, encoder_of, unit_vectors
from keras_qa.documents.words import language_of, spaced, tokenizer
from keras_qa.files.sqlite import sqlite3

# So many passages are written in a transaction, or a document with more of them.
BATCH = 2_000
# So many passages an encoder is given at a time, and a transaction has with vectors: others who
# write wait for no more.
ENCODED = 256
# So much of the first texts says which language it is.
SAMPLE = 20_000
# Words of more than this share of the passages are kept with their number, which is counted again
# once there are a tenth more passages or less.
FREQUENT = 0.01
_RECOUNT = 0.1


class Writer:
    """Writes to an index, in a `with` block.

    What is written in the block is kept in transactions of some documents each, and what an error
    interrupts is not.

    Args:
        connection: The index.
        encoder: The encoder of its vectors. `None` where it has none, or nothing is put into it.

    Attributes:
        encodes: Whether passages get vectors.
    """

    def __init__(self, connection: sqlite3.Connection, encoder: Encoder | None = None) -> None:
        self._connection = connection
        self._encoder = encoder
        self.encodes = encoder is not None
        self._pending = 0
        # Passages by their ids that have no vectors yet.
        self._plain: dict[int, str] = {}

    def __enter__(self) -> Writer:
        storage.start_writing(self._connection)
        self._run("CREATE TEMP TABLE IF NOT EXISTS seen (document INTEGER PRIMARY KEY)")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if kind is None:
                self._count()
                self._encode(1)
                seal(self._connection)
                self.commit()
        finally:
            if self._connection.in_transaction:
                self._run("ROLLBACK")
            storage.stop_writing(self._connection)

    def begin(self) -> None:
        """Begins a transaction, where there is none yet."""
        if not self._connection.in_transaction:
            self._run("BEGIN IMMEDIATE")
            unseal(self._connection)

    def commit(self) -> None:
        """Keeps what was written, vectors of all passages with it."""
        self._encode(1)
        if self._connection.in_transaction:
            self._run("COMMIT")
        self._pending = 0

    def settle(self, sample: str) -> None:
        """Makes the table of words, where there is none yet.

        Args:
            sample: What the language is found from, if none was given.
        """
        self.begin()
        if setting(self._connection, "language") is None:
            make_words(self._connection, language_of(sample))

    def put(self, document: Document, file: int | None = None) -> bool:
        """Puts a document in the place of one of its name.

        Args:
            document: The document.
            file: The id of the file that it is from.

        Returns:
            Whether it is new or has changed.
        """
        self.begin()
        name, text = storage.encoded(document.name), storage.encoded(document.text)
        pages = struct.pack(f"<{len(document.pages)}Q", *document.pages) or None
        digest = digest_of(text, pages)
        row = self._run("SELECT id, hash, file FROM documents WHERE name = ?", (name,)).fetchone()
        if row is not None and row[1] == digest:
            if row[2] != file:
                self._run("UPDATE documents SET file = ? WHERE id = ?", (file, row[0]))
            self._run("INSERT OR IGNORE INTO seen VALUES (?)", (row[0],))
            return False
        if row is not None:
            self._drop(row[0])
        made = self._run(
            "INSERT INTO documents (name, file, hash, pages) VALUES (?, ?, ?, ?)",
            (name, file, digest, pages),
        )
        number = made.lastrowid
        assert number is not None
        self._run("INSERT OR IGNORE INTO seen VALUES (?)", (number,))
        self._many(
            "INSERT INTO texts VALUES (?, ?, ?)",
            (
                (number, at, storage.encoded(document.text[start : start + storage.BLOCK]))
                for at, start in enumerate(range(0, len(document.text), storage.BLOCK))
            ),
        )
        self._put_passages(number, document.text)
        self._done()
        return True

    def _put_passages(self, number: int, text: str) -> None:
        first = self._run("SELECT seq FROM sqlite_sequence WHERE name = 'passages'").fetchone()
        free = (first[0] if first else 0) + 1
        line, at = 1, 0
        for parts in _some(passages(text)):
            rows: list[tuple[int, int, int, int, int, bytes]] = []
            for part in parts:
                line, at = line + text.count("\n", at, part.start), part.start
                heading = storage.encoded(part.heading)
                rows.append((free + len(rows), number, part.start, part.end, line, heading))
            self._many(
                "INSERT INTO passages (id, document, start, stop, line, heading) "
                "VALUES (?, ?, ?, ?, ?, ?)",
                rows,
            )
            self._many(
                "INSERT INTO words (rowid, text) VALUES (?, ?)",
                (
                    (row[0], indexed(part.heading, text[part.start : part.end]))
                    for row, part in zip(rows, parts, strict=True)
                ),
            )
            if self._encoder is not None:
                for row, part in zip(rows, parts, strict=True):
                    self._plain[row[0]] = headed(part.heading, text[part.start : part.end])
                self._encode(ENCODED)
            free += len(rows)
            self._pending += len(rows)

    def _encode(self, least: int) -> None:
        """Writes the vectors of passages that have none, where there are so many of them."""
        while self._encoder is not None and len(self._plain) >= least:
            ids = list(itertools.islice(self._plain, ENCODED))
            texts = [self._plain.pop(id) for id in ids]
            known = dimension_of(self._connection)
            vectors = unit_vectors(self._encoder, texts, known)
            if known is None:
                self.set("dimension", vectors.shape[1])
            rows = zip(ids, as_kept(vectors), strict=True)
            self._many("INSERT INTO vectors VALUES (?, ?)", rows)

    def drop(self, name: str) -> bool:
        """Takes a document out.

        Args:
            name: Its name.

        Returns:
            Whether there was one.
        """
        self.begin()
        key = (storage.encoded(name),)
        row = self._run("SELECT id FROM documents WHERE name = ?", key).fetchone()
        if row is not None:
            self._drop(row[0])
            self._done()
        return row is not None

    def start_file(self, name: str) -> int:
        """Begins to write the documents of a file.

        Args:
            name: Its name.

        Returns:
            Its id.
        """
        self.begin()
        key = storage.encoded(name)
        self._run("INSERT INTO files (name) VALUES (?) ON CONFLICT (name) DO NOTHING", (key,))
        self._run("UPDATE files SET hash = NULL WHERE name = ?", (key,))
        self._run("DELETE FROM seen")
        number: int = self._run("SELECT id FROM files WHERE name = ?", (key,)).fetchone()[0]
        return number

    def is_written(self, document: str) -> bool:
        """Whether a document of that name has been written since its file was begun."""
        key = (storage.encoded(document),)
        return bool(
            self._run(
                "SELECT 1 FROM documents WHERE name = ? AND id IN (SELECT document FROM seen)", key
            ).fetchone()
        )

    def end_file(self, file: int, digest: bytes) -> int:
        """Takes out what the file held before and does not any more.

        Args:
            file: Its id.
            digest: The hash of its content.

        Returns:
            How many documents were taken out.
        """
        self.begin()
        gone = self._run(
            "SELECT id FROM documents WHERE file = ? AND id NOT IN (SELECT document FROM seen)",
            (file,),
        ).fetchall()
        for (number,) in gone:
            self._drop(number)
        self._run("UPDATE files SET hash = ? WHERE id = ?", (digest, file))
        self._done()
        return len(gone)

    def drop_file(self, name: str) -> int:
        """Takes out a file with all its documents.

        Args:
            name: Its name.

        Returns:
            How many documents it had.
        """
        key = (storage.encoded(name),)
        self.begin()
        row = self._run("SELECT id FROM files WHERE name = ?", key).fetchone()
        if row is None:
            return 0
        gone = 0
        while True:
            self.begin()
            some = self._run("SELECT id FROM documents WHERE file = ? LIMIT 100", row).fetchall()
            for (number,) in some:
                self._drop(number)
                self._done()
            gone += len(some)
            if not some:
                self.begin()
                self._run("DELETE FROM files WHERE id = ?", row)
                return gone

    def _drop(self, number: int) -> None:
        # Its words are taken out of the index by what its text says.
        Verifier().verify_document(self._connection, number)
        text = text_of(self._connection, number)
        rows = self._run(
            "SELECT id, start, stop, heading FROM passages WHERE document = ?", (number,)
        )
        self._many(
            "INSERT INTO words (words, rowid, text) VALUES ('delete', ?, ?)",
            (
                (id, indexed(storage.decoded(heading), text[start:stop]))
                for id, start, stop, heading in rows.fetchall()
            ),
        )
        if encoder_of(self._connection) is not None:
            ids = self._run("SELECT id FROM passages WHERE document = ?", (number,)).fetchall()
            for (id,) in ids:
                self._plain.pop(id, None)
            self._many("DELETE FROM vectors WHERE passage = ?", ids)
        for table in ("passages", "texts"):
            removed = self._run(f"DELETE FROM {table} WHERE document = ?", (number,)).rowcount
            self._pending += removed
        self._run("DELETE FROM documents WHERE id = ?", (number,))

    def _done(self) -> None:
        # Files of no passages are many in a transaction, too.
        self._pending += 1
        if self._pending >= (BATCH if self._encoder is None else min(BATCH, ENCODED)):
            self.commit()

    def _count(self) -> None:
        """Counts the passages of frequent words again, where it is time to."""
        self.begin()
        total = self._run("SELECT count(*) FROM passages").fetchone()[0]
        before = int(setting(self._connection, "counted") or 0)
        if total == before or abs(total - before) <= _RECOUNT * before:
            return
        self._run("DELETE FROM frequent")
        self._run(
            "INSERT INTO frequent SELECT term, doc FROM vocabulary WHERE doc > ? AND term <> ''",
            (FREQUENT * total,),
        )
        self.set("counted", total)

    def set(self, name: str, value: str | bytes | int) -> None:
        """Keeps a setting of the index."""
        self.begin()
        self._run("INSERT OR REPLACE INTO settings VALUES (?, ?)", (name, value))

    def _run(self, statement: str, values: tuple[object, ...] = ()) -> sqlite3.Cursor:
        return self._connection.execute(statement, values)

    def _many(self, statement: str, rows: Iterable[tuple[object, ...]]) -> None:
        self._connection.executemany(statement, rows)


def make_words(connection: sqlite3.Connection, language: str) -> None:
    """Makes the table of words, cut as those of a language are."""
    cut = tokenizer(language)
    connection.execute(
        f"CREATE VIRTUAL TABLE words USING fts5(text, content='', tokenize=\"{cut}\")"
    )
    connection.execute("INSERT INTO settings VALUES ('language', ?)", (language,))
    connection.execute("CREATE VIRTUAL TABLE vocabulary USING fts5vocab(words, row)")


def indexed(heading: str, text: str) -> str:
    """What the words of a passage are taken from."""
    return spaced(headed(heading, text))


def headed(heading: str, text: str) -> str:
    """A passage below its headings."""
    return f"{heading}\n{text}" if heading else text


def text_of(
    connection: sqlite3.Connection, number: int, start: int = 0, end: int | None = None
) -> str:
    """The text of a document, from one character to another."""
    first = start // storage.BLOCK
    last = sys.maxsize if end is None else max(end - 1, 0) // storage.BLOCK
    rows = connection.execute(
        "SELECT text FROM texts WHERE document = ? AND block BETWEEN ? AND ? ORDER BY block",
        (number, first, last),
    )
    text = "".join(storage.decoded(raw) for (raw,) in rows)
    begin = first * storage.BLOCK
    return text[start - begin : None if end is None else end - begin]


def _some(parts: Iterator[Part]) -> Iterator[list[Part]]:
    """Passages in lists, however many a text has."""
    held: list[Part] = []
    for part in parts:
        held.append(part)
        if len(held) == BATCH:
            yield held
            held = []
    if held:
        yield held
