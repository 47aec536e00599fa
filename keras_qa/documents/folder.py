"""Brings an index up to date with a folder of files."""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import hashlib
import os
import pathlib
from collections.abc import Callable, Iterator
from typing import TypeAlias

from keras_qa._terminal import Bar
from keras_qa.data.files import open_regular
from keras_qa.data.sqlite import sqlite3
from keras_qa.documents import storage
from keras_qa.documents.document import Document
from keras_qa.documents.file_formats import MAX_BYTES, SUFFIXES
from keras_qa.documents.file_parser import Parser, ReadError, reason
from keras_qa.documents.file_reading import open_files, salted
from keras_qa.documents.storage import get_setting
from keras_qa.documents.workers import Pool
from keras_qa.documents.writing import Writer

# A function of the number of files that are done, and of all files.
Progress: TypeAlias = Callable[[int, int], object]

# Show a progress bar for at least so many files.
_MANY = 100


@dataclasses.dataclass(frozen=True)
class Changes:
    """The documents `written` and `removed`, and the files `kept` and of `others` types.

    `others` has the number of files of each other type by its ending, such as `{".png": 3}`.
    `unreadable` has the reason, by name, for each file that could not be read and was skipped.
    """

    written: int
    removed: int
    kept: int
    others: dict[str, int]
    unreadable: dict[str, str]


def update_index(
    writer: Writer,
    connection: sqlite3.Connection,
    folder: pathlib.Path,
    encoding: str | None,
    verbose: int | str,
    progress: Progress | None,
    pool: Pool | None,
    parser: Parser,
) -> Changes:
    """Implements `Index.update`."""
    encoding = encoding or get_setting(connection, "encoding", str)
    try:
        "".encode(encoding or "utf-8")
    except LookupError:
        raise ValueError(
            f"`encoding` must be the name of an encoding, such as 'cp1252'. Received: {encoding!r}."
        ) from None
    folder = folder.expanduser()
    if not folder.exists():
        raise FileNotFoundError(
            f"`folder` must be a folder or a file. There is no {str(folder)!r}."
        )
    unreadable: dict[str, str] = {}
    files, others = _list_files(folder, unreadable)
    rows = connection.execute("SELECT name, hash FROM files")
    digests = {storage.decode_text(name): digest for name, digest in rows.fetchall()}
    resolved = str(folder.resolve())
    before = get_setting(connection, "folder", bytes)
    followed = None if before is None else storage.decode_text(before)
    # The update would replace all files of the index by those of another folder.
    if followed not in (None, resolved) and digests and digests.keys().isdisjoint(files):
        raise ValueError(
            f"The index follows {followed!r}, and {str(folder)!r} contains none of its files. "
            "Create another index for it."
        )
    writer.write_setting("folder", storage.encode_text(resolved))
    if encoding is not None:
        writer.write_setting("encoding", encoding)
    writer.set_language(_readable_documents(files, encoding, parser))
    # The index was made by another way of reading: the documents may be the same, the passages not.
    is_outdated = get_setting(connection, "reading", int) != storage.READING
    shown = len(files) >= _MANY if verbose == "auto" else verbose
    # The answers of `ask` are on standard output.
    bar = Bar(len(files), error=True) if shown and progress is None else None
    written = removed = kept = 0
    indexed = set()
    reads = open_files(files, {} if is_outdated else digests, encoding, pool, parser)
    for done, (name, read) in enumerate(reads, start=1):
        try:
            digest, documents = read()
            if digests.get(name) == digest and not is_outdated:
                kept += 1
            else:
                new, deleted = writer.write_file(name, digest, documents, is_outdated)
                written, removed = written + new, removed + deleted
            indexed.add(name)
        except ReadError as error:
            unreadable[name] = str(error)
        if progress is not None:
            progress(done, len(files))
        elif bar is not None:
            bar.show(done)
    for name in (digests.keys() | files.keys()) - indexed:
        deleted = writer.remove_file(name)
        removed += deleted if name in digests else 0
    # A bar of an unchanged folder, which takes no time, would tell nothing.
    if bar is not None and (bar.is_shown or verbose != "auto"):
        bar.end(len(files))
    if is_outdated:
        writer.write_setting("reading", storage.READING)
    return Changes(written, removed, kept, others, dict(sorted(unreadable.items())))


def read_paged_file(
    connection: sqlite3.Connection, document: int
) -> tuple[bytes, tuple[int, ...]] | None:
    """Returns the file of a document and the offsets of its pages.

    `None` if it has no pages, or if the file is missing, a link, or has changed since.
    """
    row = connection.execute(
        "SELECT files.name, files.hash, documents.pages FROM documents "
        "JOIN files ON files.id = documents.file WHERE documents.id = ?",
        (document,),
    ).fetchone()
    followed = get_setting(connection, "folder", bytes)
    if row is None or not row[2] or followed is None:
        return None
    folder = pathlib.Path(storage.decode_text(followed))
    path = folder if folder.is_file() else folder / storage.decode_text(row[0])
    try:
        # A link, or a name in an index from elsewhere, may lead out of the folder.
        is_inside = path.resolve() == path and path.is_relative_to(folder)
        if not is_inside or not path.is_file() or path.stat().st_size > MAX_BYTES:
            return None
        with open(path, "rb", opener=open_regular) as file:
            content = file.read()
    except OSError:
        return None
    encoding = get_setting(connection, "encoding", str)
    if salted(hashlib.sha256(content).digest(), encoding) != row[1]:
        return None
    return content, storage.decode_pages(row[2])


def _list_files(
    folder: pathlib.Path, unreadable: dict[str, str]
) -> tuple[dict[str, str], dict[str, int]]:
    """Returns the paths of files of supported types by name, and the numbers of other files."""
    if not folder.is_dir():
        if folder.suffix.lower() not in SUFFIXES or not folder.is_file():
            raise ValueError(
                f"`folder` must be a folder, or a regular file that ends in {', '.join(SUFFIXES)}. "
                f"Received: {str(folder)!r}."
            )
        return {folder.name: os.path.realpath(folder)}, {}

    def report(error: OSError) -> None:
        unreadable[os.path.relpath(error.filename, folder)] = reason(error)

    others: collections.Counter[str] = collections.Counter()
    root = os.path.realpath(folder)
    files: dict[str, str] = {}
    for parent, folders, names in os.walk(folder, onerror=report):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            if name.startswith("."):
                continue
            path = os.path.join(parent, name)
            relative = os.path.relpath(path, folder).replace(os.sep, "/")
            suffix = os.path.splitext(name)[1].lower()
            if suffix not in SUFFIXES:
                others[suffix] += 1
            elif not os.path.isfile(path):
                unreadable[relative] = "it is not a regular file"
            elif not pathlib.Path(real := os.path.realpath(path)).is_relative_to(root):
                unreadable[relative] = "it is a link to a file outside the folder"
            else:
                files[relative] = real
    return dict(sorted(files.items())), dict(others.most_common())


def _readable_documents(
    files: dict[str, str], encoding: str | None, parser: Parser
) -> Iterator[Document]:
    """Yields the documents of all files that can be read. The update reports the others."""
    for name, path in files.items():
        with contextlib.suppress(ReadError):
            yield from parser.parse(path, name, encoding)
