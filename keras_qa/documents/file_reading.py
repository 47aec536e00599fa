"""Reads the files of a folder, also in several processes."""

from __future__ import annotations

import collections
import dataclasses
import functools
import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TypeAlias

from keras_qa.data.files import open_regular
from keras_qa.documents.document import Document
from keras_qa.documents.file_parser import Parser, ReadError, read_errors
from keras_qa.documents.passages import EncodedDocument, encode_document
from keras_qa.documents.workers import Pool

# Files that are read before they are written, for each process. They are in memory.
_AHEAD = 4

# The digest of a file, and its documents, whose iterator may raise `ReadError`.
FileContent: TypeAlias = tuple[bytes, Iterable[EncodedDocument]]
# A function that reads a file, or raises `ReadError`.
Read: TypeAlias = Callable[[], FileContent]
# A function of a path, a name and an encoding that parses a file.
_Parse: TypeAlias = Callable[[str, str, str | None], Iterable[Document]]
# A file that was read to its end, or to an error.
_Whole: TypeAlias = tuple[bytes, list[EncodedDocument | ReadError]]


def open_files(
    files: Mapping[str, str],
    digests: Mapping[str, bytes],
    encoding: str | None,
    pool: Pool | None,
    parser: Parser,
) -> Iterator[tuple[str, Read]]:
    """Returns names of files and functions that read them, in their order.

    Args:
        files: Paths of files by name.
        digests: Digests by name: the documents of files that have them are not read.
        encoding: Encoding of texts that are not Unicode.
        pool: Processes that read. `None` to read the files in this process.
        parser: Parses the files. Each process of the pool has one of the same limits.
    """
    ahead: collections.deque[tuple[str, Read]] = collections.deque()
    parse: _Parse = parser.parse
    if pool is not None:
        parse = functools.partial(_parse_in_worker, parser.seconds, parser.memory)
    for name, path in files.items():
        read = functools.partial(_read_file, parse, path, name, encoding, digests.get(name))
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


@functools.cache
def _worker_parser(seconds: float, memory: float) -> Parser:
    return Parser(seconds, memory)


def _parse_in_worker(
    seconds: float, memory: float, path: str, name: str, encoding: str | None
) -> Iterator[Document]:
    return _worker_parser(seconds, memory).parse(path, name, encoding)


def _read_file(
    parse: _Parse, path: str, name: str, encoding: str | None, known: bytes | None
) -> FileContent:
    with read_errors(), open(path, "rb", opener=open_regular) as file:
        digest = salted(hashlib.file_digest(file, "sha256").digest(), encoding)
    documents = () if digest == known else map(encode_document, parse(path, name, encoding))
    return digest, documents


def salted(digest: bytes, encoding: str | None) -> bytes:
    """Returns the digest of a file that was read with an encoding."""
    return hashlib.sha256(digest + (encoding or "").encode()).digest()
