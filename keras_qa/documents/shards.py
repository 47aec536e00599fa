"""The files of an index: one, or several that are searched as one."""

from __future__ import annotations

import contextlib
import dataclasses
import heapq
import itertools
import os
import pathlib
from collections.abc import Iterator, Sequence

from keras_qa._arguments import check_string, short_repr, to_path
from keras_qa.data.sqlite import sqlite3, transaction
from keras_qa.documents import storage
from keras_qa.documents.storage import get_setting, translate_sqlite_errors
from keras_qa.documents.vector_search import VectorSearch

# The difference between ids of passages of two shards: more than the passages of any.
SPACING = 2**48

# Settings that all shards must have in common, by their names in a message.
_COMMON = {
    "language": "language",
    "way of reading files": "reading",
    "encoder": "encoder",
    "dimension of vectors": "dimension",
}


@dataclasses.dataclass
class Shard:
    """A file of an index, with the cache of its vectors and its verified documents."""

    path: pathlib.Path
    connection: sqlite3.Connection
    number: int = 0
    vector_search: VectorSearch = dataclasses.field(default_factory=VectorSearch)
    verified: set[int] = dataclasses.field(default_factory=set)
    # The last change by another connection that has been verified.
    version: int | None = None

    @property
    def first_id(self) -> int:
        """What is added to the ids of its passages, so that those of several shards differ."""
        return self.number * SPACING

    @contextlib.contextmanager
    def reading(self) -> Iterator[None]:
        """Reads in one transaction. Verifies the checksum if another connection has written."""
        with translate_sqlite_errors(self.path), transaction(self.connection, writes=False):
            version: int = self.connection.execute("PRAGMA data_version").fetchone()[0]
            if version != self.version:
                self.forget()
                storage.verify_checksum(self.connection)
                self.version = version
            yield

    def forget(self) -> None:
        """Forgets vectors, and which documents are verified, because the index has changed."""
        self.vector_search.forget()
        self.verified.clear()


@contextlib.contextmanager
def reading(shards: Sequence[Shard]) -> Iterator[None]:
    """Reads each shard in one transaction."""
    with contextlib.ExitStack() as stack:
        for shard in shards:
            stack.enter_context(shard.reading())
        yield


def open_shards(
    paths: str | os.PathLike[str] | Sequence[str | os.PathLike[str]], timeout: float
) -> list[Shard]:
    """Opens the files of an index. Raises the errors of `Index.open`."""
    if isinstance(paths, str | os.PathLike):
        paths = [paths]
    if not isinstance(paths, list | tuple) or not paths:
        raise TypeError(
            "`path` must be a path, or a list of paths that is not empty. Received: "
            f"path={paths!r:.80}."
        )
    shards: list[Shard] = []
    with contextlib.ExitStack() as on_error:
        for number, path in enumerate(paths):
            file = to_path("path", path).expanduser()
            connection = storage.open_file(file, timeout)
            on_error.callback(connection.close)
            shards.append(Shard(file, connection, number))
        if len(shards) > 1:
            with reading(shards):
                _check_settings(shards)
                _check_names(shards)
        on_error.pop_all()
    return shards


def check_single(shards: Sequence[Shard]) -> None:
    """Raises if several indexes that are searched as one were to be changed."""
    if len(shards) > 1:
        paths = ", ".join(str(shard.path) for shard in shards)
        raise ValueError(
            "Several indexes that were opened as one cannot be changed. Open the one to change by "
            f"its path. Received: path=[{paths:.100}]."
        )


def find_document(shards: Sequence[Shard], name: str) -> tuple[sqlite3.Connection, int]:
    """Returns the file and number of a document, after its checksum is verified."""
    check_string("name", name)
    query, key = "SELECT id FROM documents WHERE name = ?", (storage.encode_text(name),)
    for shard in shards:
        with translate_sqlite_errors(shard.path):
            row = shard.connection.execute(query, key).fetchone()
            if row is not None:
                storage.verify_document(shard.connection, row[0])
                return shard.connection, int(row[0])
    raise missing_document(name)


def missing_document(name: str) -> KeyError:
    """Returns the error for a name that no document has."""
    return KeyError(f"The index has no document {short_repr(name)}.")


def _check_settings(shards: list[Shard]) -> None:
    for shown, name in _COMMON.items():
        paths: dict[object, pathlib.Path] = {}
        for shard in shards:
            value = get_setting(shard.connection, name, object)
            # A shard without documents may have no language and no dimension.
            if value is not None or name not in ("language", "dimension"):
                paths.setdefault(value, shard.path)
        if len(paths) > 1:
            (first, path), (second, other), *_ = paths.items()
            values = [
                storage.decode_text(value) if isinstance(value, bytes) else value
                for value in (first, second)
            ]
            raise ValueError(
                f"Indexes that are opened as one must have the same {shown}. `{path}` has "
                f"{values[0]!r:.40}, `{other}` has {values[1]!r:.40}. Make them with the same "
                "settings."
            )


def _check_names(shards: list[Shard]) -> None:
    query = "SELECT name, ? FROM documents ORDER BY name"
    rows = heapq.merge(*(shard.connection.execute(query, (shard.number,)) for shard in shards))
    for (name, number), (following, other) in itertools.pairwise(rows):
        if name == following:
            raise ValueError(
                "Indexes that are opened as one must have documents of different names. "
                f"`{shards[number].path}` and `{shards[other].path}` both have "
                f"{storage.decode_text(name)!r:.60}. Remove it from one of them."
            )
