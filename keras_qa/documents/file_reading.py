"""Reads the files of a folder, also in several processes."""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import functools
import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TypeAlias

from keras_qa.data.files import open_regular
from keras_qa.documents.document import Document
from keras_qa.documents.file_formats import read_documents
from keras_qa.documents.passages import EncodedDocument, encode_document
from keras_qa.documents.workers import Pool

# Files that are read before they are written, for each process. They are in memory.
_AHEAD = 4


class ReadError(ValueError):
    """An error in reading a file, as distinct from one in writing to the index."""


# The digest of a file, and its documents, whose iterator may raise `ReadError`.
FileContent: TypeAlias = tuple[bytes, Iterable[EncodedDocument]]
# A function that reads a file, or raises `ReadError`.
Read: TypeAlias = Callable[[], FileContent]
# A file that was read to its end, or to an error.
_Whole: TypeAlias = tuple[bytes, list[EncodedDocument | ReadError]]


def open_files(
    files: Mapping[str, str], digests: Mapping[str, bytes], encoding: str | None, pool: Pool | None
) -> Iterator[tuple[str, Read]]:
    """Returns names of files and functions that read them, in their order.

    Args:
        files: Paths of files by name.
        digests: Digests by name: the documents of files that have them are not read.
        encoding: Encoding of texts that are not Unicode.
        pool: Processes that read. `None` to read the files in this process.
    """
    ahead: collections.deque[tuple[str, Read]] = collections.deque()
    for name, path in files.items():
        read = functools.partial(_read_file, path, name, encoding, digests.get(name))
        if pool is not None:
            read = functools.partial(_replay, pool.submit(functools.partial(_read_whole, read)))
        ahead.append((name, read))
        if pool is None or len(ahead) == _AHEAD * pool.size:
            yield ahead.popleft()
    yield from ahead


def _read_whole(read: Read) -> _Whole:
    digest, documents = read()
    whole: list[EncodedDocument | ReadError] = []
    try:
        for document in documents:
            whole.append(dataclasses.replace(document, passages=list(document.passages)))
    except ReadError as error:
        whole.append(error)
    return digest, whole


def _replay(result: Callable[[], _Whole]) -> FileContent:
    digest, whole = result()
    return digest, map(_raise_error, whole)


def _raise_error(document: EncodedDocument | ReadError) -> EncodedDocument:
    if isinstance(document, ReadError):
        raise document
    return document


def _read_file(path: str, name: str, encoding: str | None, known: bytes | None) -> FileContent:
    with _read_errors(), open(path, "rb", opener=open_regular) as file:
        digest = salted(hashlib.file_digest(file, "sha256").digest(), encoding)
    documents = () if digest == known else map(encode_document, iterate(path, name, encoding))
    return digest, documents


def iterate(path: str, name: str, encoding: str | None) -> Iterator[Document]:
    """Yields the documents of a file. Raises `ReadError`."""
    names = set()
    with _read_errors():
        for document in read_documents(path, name, encoding):
            if document.name in names:
                raise ValueError(f"it has two documents of the name {document.name!r}")
            names.add(document.name)
            yield document


def salted(digest: bytes, encoding: str | None) -> bytes:
    """Returns the digest of a file that was read with an encoding."""
    return hashlib.sha256(digest + (encoding or "").encode()).digest()


@contextlib.contextmanager
def _read_errors() -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError, ImportError) as error:
        raise ReadError(reason(error)) from None
    except MemoryError:
        raise ReadError("reading it takes more memory than there is") from None
    except RecursionError:
        raise ReadError("its parts are nested too deeply") from None


def reason(error: Exception) -> str:
    """Returns an error as one line."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return " ".join(str(error).split())[:300] or type(error).__name__
