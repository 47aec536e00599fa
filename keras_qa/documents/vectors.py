"""Vectors of passages: where they come from, how they are kept, which are like a question's."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

from keras_qa.documents import storage
from keras_qa.files.sqlite import sqlite3

# A number has two bytes in the file, little-endian: of cosines that changes the fourth digit, and
# the file, of which vectors are most, is half as large.
_KEPT = np.dtype("<f2")
# So many bytes of vectors stay in memory, four a number; of more, as many as below at a time.
IN_MEMORY = 2**28
# Passages that are compared at a time.
_PASSAGES = 8192

Floats = npt.NDArray[np.float32]
# The ids of passages and their scores, best first.
Scored = list[tuple[int, float]]


class Encoder(Protocol):
    """What turns texts into vectors for an index, such as `answering.TextEmbedder`.

    Any object will do that has a name, and can be called.

    Examples:
        >>> import os, tempfile
        >>> import numpy as np
        >>> from keras_qa.documents import Index
        >>> class Vowels:
        ...     name = "vowels"
        ...     def __call__(self, texts):
        ...         counts = [[text.count(letter) for letter in "aeiou"] for text in texts]
        ...         return np.array(counts, "float32")
        >>> path = os.path.join(tempfile.mkdtemp(), "names.index")
        >>> with Index.create(path, encoder=Vowels()) as index:
        ...     index.add([{"name": "1", "text": "Anna"}, {"name": "2", "text": "Otto"}])
        ...     index.search("Oslo", k=1)[0].text
        2
        'Otto'
    """

    @property
    def name(self) -> str:
        """What an index remembers it by: another encoder has another name."""

    def __call__(self, texts: list[str]) -> Floats:
        """Gives the vectors of texts, `(texts, dimension)`, of any length."""


def check_encoder(encoder: object) -> None:
    """Raises where an object is no encoder.

    Raises:
        TypeError: If it has no name, or cannot be called.
    """
    if not callable(encoder) or not isinstance(getattr(encoder, "name", None), str):
        raise TypeError(
            "`encoder` must have a `name`, a string, and turn a list of strings into vectors when "
            f"it is called, as `keras_qa.answering.TextEmbedder`. Received: {encoder!r:.80}."
        )


def unit_vectors(encoder: Encoder, texts: list[str], dimension: int | None = None) -> Floats:
    """The vectors of texts, brought to length 1.

    Args:
        encoder: The encoder.
        texts: The texts, one at least.
        dimension: How wide they must be. `None` for any width.

    Returns:
        `(texts, dimension)`. What was zero stays so.

    Raises:
        ValueError: If what the encoder gives is of another shape, or not finite.
    """
    found = np.asarray(encoder(texts))
    wide = found.ndim == 2 and found.shape[1] > 0 and dimension in (None, found.shape[1])
    if not wide or len(found) != len(texts) or found.dtype.kind not in "fiu":
        expected = "any width" if dimension is None else f"{dimension} numbers each"
        raise ValueError(
            f"The encoder {encoder.name!r} must give {len(texts)} vectors of {expected}, as an "
            f"array of numbers. It gave one of the shape {found.shape} and {found.dtype}."
        )
    with np.errstate(over="ignore"):
        found = found.astype("float32")
    if not np.isfinite(found).all():
        place = int(np.flatnonzero(~np.isfinite(found).all(axis=1))[0])
        raise ValueError(
            f"The encoder {encoder.name!r} gave a vector that is not finite, for the text "
            f"{texts[place]!r:.80}."
        )
    # By their largest number first: squares of what is left neither vanish nor overflow.
    found = found / np.maximum(np.abs(found).max(axis=1, keepdims=True), 1e-30)
    unit: Floats = found / np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-30)
    return unit


def make_vectors(connection: sqlite3.Connection, encoder: str) -> None:
    """Makes the table of vectors, of the encoder of a name."""
    connection.execute("CREATE TABLE vectors (passage INTEGER PRIMARY KEY, vector BLOB NOT NULL)")
    connection.execute("INSERT INTO settings VALUES ('encoder', ?)", (storage.encoded(encoder),))


def encoder_of(connection: sqlite3.Connection) -> str | None:
    """The name of the encoder of an index' vectors, if it has any."""
    name = storage.setting(connection, "encoder")
    return storage.decoded(name) if isinstance(name, bytes) else None


def dimension_of(connection: sqlite3.Connection) -> int | None:
    """How wide the vectors of an index are, once there is one."""
    found = storage.setting(connection, "dimension")
    return None if found is None else int(found)


def as_kept(vectors: Floats) -> Iterator[bytes]:
    """Vectors as they are kept."""
    return (row.tobytes() for row in vectors.astype(_KEPT))


class Nearest:
    """Finds the vectors that are most like those of questions: all of them are compared.

    Those of an index that is not too large stay in memory, until it changes.
    """

    def __init__(self) -> None:
        self._held: list[tuple[npt.NDArray[np.int64], Floats]] = []
        self._version: int | None = None

    def forget(self) -> None:
        """Drops what is in memory."""
        self._held, self._version = [], None

    def __call__(
        self, connection: sqlite3.Connection, questions: Floats, count: int
    ) -> list[Scored]:
        """The passages whose vectors have the largest cosine with a question's.

        Args:
            connection: The index, in a transaction.
            questions: `(questions, dimension)`: their vectors, of length 1.
            count: Number of passages a question.

        Returns:
            The ids of passages and their cosines for each question, best first; less than `count`
            where there are no more.
        """
        rows = len(questions)
        ids = np.zeros((rows, 0), "int64")
        scores = np.zeros((rows, 0), "float32")
        for some, matrix in self._blocks(connection, questions.shape[1]):
            scores = np.concatenate([scores, questions @ matrix.T], axis=1)
            ids = np.concatenate([ids, np.broadcast_to(some, (rows, len(some)))], axis=1)
            if scores.shape[1] > count:
                best = np.argpartition(-scores, count - 1, axis=1)[:, :count]
                scores = np.take_along_axis(scores, best, axis=1)
                ids = np.take_along_axis(ids, best, axis=1)
        # Of those that are alike, what was written first.
        order = np.lexsort((ids, -scores), axis=1)
        ids, scores = (np.take_along_axis(part, order, axis=1) for part in (ids, scores))
        rows_of = zip(ids.tolist(), scores.tolist(), strict=True)
        return [list(zip(*row, strict=True)) for row in rows_of]

    def _blocks(
        self, connection: sqlite3.Connection, dimension: int
    ) -> Iterator[tuple[npt.NDArray[np.int64], Floats]]:
        """The ids of passages and their vectors, some at a time."""
        # It changes when another connection has written; this one's owner calls `forget`.
        version: int = connection.execute("PRAGMA data_version").fetchone()[0]
        if version == self._version:
            yield from self._held
            return
        self.forget()
        count: int = connection.execute("SELECT count(*) FROM vectors").fetchone()[0]
        keeps = 4 * count * dimension <= IN_MEMORY
        held = []
        rows = connection.execute("SELECT passage, vector FROM vectors ORDER BY passage")
        while some := rows.fetchmany(_PASSAGES):
            block = _matrix(some, dimension)
            if keeps:
                held.append(block)
            yield block
        if keeps:
            self._held, self._version = held, version


def _matrix(
    rows: Sequence[tuple[int, bytes]], dimension: int
) -> tuple[npt.NDArray[np.int64], Floats]:
    ids, raw = zip(*rows, strict=True)
    if any(len(vector) != dimension * _KEPT.itemsize for vector in raw):
        raise sqlite3.DatabaseError("a vector has another width than the others")
    matrix = np.frombuffer(b"".join(raw), _KEPT).reshape(-1, dimension)
    return np.array(ids, "int64"), matrix.astype("float32")
