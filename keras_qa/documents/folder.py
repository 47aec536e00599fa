"""Brings an index up to date with a folder of files."""

from __future__ import annotations

import codecs
import dataclasses
import hashlib
import os
import pathlib
import stat
from collections.abc import Iterator

from keras_qa.documents import storage
from keras_qa.documents.document import Document
from keras_qa.documents.file_formats import SUFFIXES, read_documents
from keras_qa.documents.storage import get_setting
from keras_qa.documents.writing import SAMPLE, Writer
from keras_qa.files.sqlite import sqlite3
from keras_qa.terminal import Bar

# Show a progress bar for at least so many files or bytes.
_MANY_FILES, _MANY_BYTES = 500, 20_000_000
# The same if passages are encoded, which takes a hundred times as long.
_MANY_ENCODED = 200_000
# Part of the hash of a file. Change it to read all files again after an update.
_READING = b"1"


@dataclasses.dataclass(frozen=True)
class Unreadable:
    """A file that could not be read.

    Args:
        name: Path of the file in the folder.
        reason: The reason, in one line.
    """

    name: str
    reason: str


@dataclasses.dataclass(frozen=True)
class Changes:
    """The changes of an update.

    Args:
        written: Number of documents that are new or have changed.
        removed: Number of documents that were removed.
        kept: Number of files that have not changed.
        others: Number of files of unsupported types.
        unreadable: Files that could not be read, and were skipped.
    """

    written: int
    removed: int
    kept: int
    others: int
    unreadable: tuple[Unreadable, ...]


def update_index(
    writer: Writer,
    connection: sqlite3.Connection,
    folder: pathlib.Path,
    encoding: str | None,
    verbose: int | str,
) -> Changes:
    """Implements `Index.update`."""
    if encoding is not None:
        _check_encoding(encoding)
    folder = folder.expanduser()
    if not folder.exists():
        raise FileNotFoundError(
            f"`folder` must be a folder or a file. There is no {str(folder)!r}."
        )
    unreadable: list[Unreadable] = []
    files, others = _list_files(folder, unreadable)
    _check_folder(writer, connection, folder, files)
    if get_setting(connection, "language") is None:
        writer.set_language(_sample(files, encoding))
    known = {
        storage.decode_text(name): digest
        for name, digest in connection.execute("SELECT name, hash FROM files")
    }
    most = _MANY_ENCODED if writer.encodes else _MANY_BYTES
    many = len(files) >= _MANY_FILES or sum(found.size for found in files) >= most
    # Progress is measured in kilobytes, because files differ in size.
    total = sum(found.kilobytes for found in files)
    bar = Bar(total) if (many if verbose == "auto" else verbose) else None
    written = removed = kept = done = 0
    indexed = set()
    for found in files:
        try:
            digest = _digest(found.path, encoding)
            if known.get(found.name) == digest:
                kept += 1
            else:
                number = writer.start_file(found.name)
                new = 0
                for document in _read(found, encoding):
                    if writer.is_written(document.name):
                        raise _ReadError(f"it has two documents of the name {document.name!r}")
                    new += writer.write(document, number)
                removed += writer.end_file(number, digest)
                written += new
            indexed.add(found.name)
        except _ReadError as error:
            unreadable.append(Unreadable(found.name, str(error)))
        done += found.kilobytes
        if bar is not None:
            bar.show(done)
    for name in known.keys() | {found.name for found in files}:
        if name not in indexed:
            gone = writer.remove_file(name)
            removed += gone if name in known else 0
    if bar is not None:
        bar.end(total)
    unreadable.sort(key=lambda entry: entry.name)
    return Changes(written, removed, kept, others, tuple(unreadable))


class _ReadError(Exception):
    """An error in reading a file, as distinct from one in writing to the index."""


@dataclasses.dataclass(frozen=True)
class _File:
    path: str
    name: str
    size: int

    @property
    def kilobytes(self) -> int:
        return 1 + self.size // 1000


def _list_files(folder: pathlib.Path, unreadable: list[Unreadable]) -> tuple[list[_File], int]:
    """Returns the files of supported types, sorted by name, and the number of other files."""
    if not folder.is_dir():
        if folder.suffix.lower() not in SUFFIXES:
            raise ValueError(
                f"`folder` must be a folder, or a file that ends in {', '.join(SUFFIXES)}. "
                f"Received: {str(folder)!r}."
            )
        return [_File(os.fspath(folder), folder.name, folder.stat().st_size)], 0
    found, others = [], 0
    waiting = [os.fspath(folder)]
    while waiting:
        at = waiting.pop()
        try:
            entries = list(os.scandir(at))
        except OSError as error:
            unreadable.append(Unreadable(os.path.relpath(at, folder), _reason(error)))
            continue
        for entry in entries:
            if entry.name.startswith("."):
                continue
            name = os.path.relpath(entry.path, folder).replace(os.sep, "/")
            # Do not follow links to folders, which may form a cycle.
            if entry.is_dir(follow_symlinks=False):
                waiting.append(entry.path)
            elif os.path.splitext(entry.name)[1].lower() not in SUFFIXES:
                others += 1
            else:
                try:
                    about = entry.stat()
                except OSError as error:
                    unreadable.append(Unreadable(name, _reason(error)))
                    continue
                if stat.S_ISREG(about.st_mode):
                    found.append(_File(entry.path, name, about.st_size))
                else:
                    unreadable.append(Unreadable(name, "it is not a regular file"))
    return sorted(found, key=lambda file: file.name), others


def _check_encoding(encoding: str) -> None:
    try:
        codecs.lookup(encoding)
    except LookupError:
        raise ValueError(
            f"`encoding` must be the name of an encoding, such as 'cp1252'. Received: {encoding!r}."
        ) from None


def _check_folder(
    writer: Writer, connection: sqlite3.Connection, folder: pathlib.Path, files: list[_File]
) -> None:
    """Raises an error if the update would replace all files of the index by another folder's."""
    place = storage.encode_text(str(folder.resolve()))
    before = get_setting(connection, "folder")
    known = {storage.decode_text(name) for (name,) in connection.execute("SELECT name FROM files")}
    if before not in (None, place) and known and known.isdisjoint(file.name for file in files):
        raise ValueError(
            f"The index follows {_shown(before)}, and {str(folder)!r} contains none of its files. "
            "Create another index for it."
        )
    writer.write_setting("folder", place)


def _shown(place: object) -> str:
    return repr(storage.decode_text(place)) if isinstance(place, bytes) else "another folder"


def _sample(files: list[_File], encoding: str | None) -> str:
    """Returns the start of the first texts, to detect the language."""
    texts, size = [], 0
    for file in files:
        try:
            for document in read_documents(file.path, file.name, encoding):
                texts.append(document.text[:SAMPLE])
                size += len(texts[-1])
                if size >= SAMPLE:
                    return "\n".join(texts)
        except (OSError, ValueError, ImportError):
            # The update reports this file.
            continue
    return "\n".join(texts)


def _read(file: _File, encoding: str | None) -> Iterator[Document]:
    try:
        yield from read_documents(file.path, file.name, encoding)
    except (OSError, ValueError, ImportError) as error:
        raise _ReadError(_reason(error)) from None


def _digest(path: str, encoding: str | None) -> bytes:
    try:
        with open(path, "rb") as file:
            content = hashlib.file_digest(file, "sha256").digest()
    except OSError as error:
        raise _ReadError(_reason(error)) from None
    return hashlib.sha256(content + _READING + (encoding or "").encode()).digest()


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return " ".join(str(error).split())[:300] or type(error).__name__
