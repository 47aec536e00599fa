"""Vectors of passages: encoding, storage, and search by cosine similarity."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from typing import Protocol

import numpy as np
import numpy.typing as npt

from keras_qa.data.sqlite import sqlite3
from keras_qa.documents import storage

# Vectors are stored as float16. This halves the file, and cosines differ from the fourth digit on.
STORED = np.dtype("<f2")
# Keep the vectors in memory as float32 if they take no more bytes than this.
IN_MEMORY = 2**28
# Passages compared at a time.
_PASSAGES = 8192

Floats = npt.NDArray[np.float32]
# Ids of passages and their scores, best first.
Scored = list[tuple[int, float]]


class TextEmbedderLike(Protocol):
    """An `answering.TextEmbedder`, or any callable object with a `name`."""

    @property
    def name(self) -> str:
        """Name that the index stores."""

    def __call__(self, texts: list[str]) -> Floats:
        """Returns the vectors of texts: `(texts, dimension)`. They need not have length 1."""


def check_encoder(encoder: object) -> None:
    """Raises a `TypeError` if an object is neither `None` nor an encoder."""
    is_encoder = callable(encoder) and isinstance(getattr(encoder, "name", None), str)
    if encoder is not None and not is_encoder:
        raise TypeError(
            "`encoder` must have a `name`, a string, and return vectors when it is called with a "
            f"list of strings, as `keras_qa.answering.TextEmbedder`. Received: {encoder!r:.80}."
        )


def check_same_encoder(
    path: str | os.PathLike[str], name: str | None, encoder: TextEmbedderLike
) -> None:
    """Raises a `ValueError` if an index was not made with an encoder."""
    if name is None:
        raise ValueError(
            f"`{path}` was made without an encoder, and has no vectors. Add them: `Index.create("
            "path, encoder=…, exist_ok=True)`, or `keras-qa index FOLDER --embed ENCODER`."
        )
    if encoder.name != name:
        raise ValueError(
            f"`{path}` has vectors of the encoder {name!r}, and none of {encoder.name!r}. Open it "
            "with the encoder that it was made with, or create another index."
        )


def unit_vectors(raw: Floats, texts: list[str], name: str, dimension: int | None = None) -> Floats:
    """Returns what an encoder returned for texts, scaled to length 1: `(texts, dimension)`.

    Zeros stay zeros.
    """
    vectors = np.asarray(raw)
    wide = vectors.ndim == 2 and vectors.shape[1] > 0 and dimension in (None, vectors.shape[1])
    if not wide or len(vectors) != len(texts) or vectors.dtype.kind not in "fiu":
        expected = "dimension" if dimension is None else dimension
        raise ValueError(
            f"The encoder {name!r} must return an array of numbers of shape "
            f"({len(texts)}, {expected}). Received: shape {vectors.shape} of {vectors.dtype}."
        )
    with np.errstate(over="ignore"):
        vectors = vectors.astype("float32")
    if not np.isfinite(vectors).all():
        position = int(np.flatnonzero(~np.isfinite(vectors).all(axis=1))[0])
        raise ValueError(
            f"The encoder {name!r} returned a vector that is not finite for the text "
            f"{texts[position]!r:.80}."
        )
    # Divide by the largest value first, so that squares neither underflow nor overflow.
    vectors = vectors / np.maximum(np.abs(vectors).max(axis=1, keepdims=True), 1e-30)
    unit: Floats = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-30)
    return unit


def read_encoder_name(connection: sqlite3.Connection) -> str | None:
    """Returns the name of the encoder of an index; `None` if it has no vectors."""
    name = storage.get_setting(connection, "encoder", bytes)
    return None if name is None else storage.decode_text(name)


class VectorSearch:
    """Finds the nearest vectors by comparing all; caches up to `IN_MEMORY` bytes of them."""

    def __init__(self) -> None:
        self._cache: list[tuple[npt.NDArray[np.int64], Floats]] | None = None

    def forget(self) -> None:
        """Clears the cache, because the index has changed."""
        self._cache = None

    def __call__(
        self, connection: sqlite3.Connection, questions: Floats, count: int
    ) -> list[Scored]:
        """Returns the passages with the highest cosine similarity for each question."""
        rows = len(questions)
        ids = np.zeros((rows, 0), "int64")
        scores = np.zeros((rows, 0), "float32")
        for block_ids, matrix in self._blocks(connection, questions.shape[1]):
            scores = np.concatenate([scores, questions @ matrix.T], axis=1)
            ids = np.concatenate([ids, np.broadcast_to(block_ids, (rows, len(block_ids)))], axis=1)
            if scores.shape[1] > count:
                best = np.argpartition(-scores, count - 1, axis=1)[:, :count]
                scores = np.take_along_axis(scores, best, axis=1)
                ids = np.take_along_axis(ids, best, axis=1)
        # Equal scores are ordered by id.
        order = np.lexsort((ids, -scores), axis=1)
        ids, scores = (np.take_along_axis(part, order, axis=1) for part in (ids, scores))
        rows_of = zip(ids.tolist(), scores.tolist(), strict=True)
        return [list(zip(*row, strict=True)) for row in rows_of]

    def _blocks(
        self, connection: sqlite3.Connection, dimension: int
    ) -> Iterable[tuple[npt.NDArray[np.int64], Floats]]:
        """Returns ids of passages and their vectors in blocks."""
        if self._cache is None:
            count: int = connection.execute("SELECT count(*) FROM vectors").fetchone()[0]
            if 4 * count * dimension > IN_MEMORY:
                return _read_blocks(connection, dimension)
            self._cache = list(_read_blocks(connection, dimension))
        return self._cache


def _read_blocks(
    connection: sqlite3.Connection, dimension: int
) -> Iterator[tuple[npt.NDArray[np.int64], Floats]]:
    rows = connection.execute("SELECT passage, vector FROM vectors ORDER BY passage")
    while batch := rows.fetchmany(_PASSAGES):
        ids, raw = zip(*batch, strict=True)
        width = dimension * STORED.itemsize
        if any(not isinstance(vector, bytes) or len(vector) != width for vector in raw):
            raise sqlite3.DatabaseError("a vector has another width than the others")
        matrix = np.frombuffer(b"".join(raw), STORED).reshape(-1, dimension)
        yield np.array(ids, "int64"), matrix.astype("float32")
