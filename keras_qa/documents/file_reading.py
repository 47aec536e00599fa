"""Reads the files of a folder, also in several processes."""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import functools
import hashlib
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import Connection
from typing import TypeAlias

from keras_qa._terminal import blocked_sigint
from keras_qa.documents.document import Document
from keras_qa.documents.file_formats import read_documents
from keras_qa.documents.passages import EncodedDocument, encode_document

# Files that are read before they are written, for each process. They are in memory.
_AHEAD = 4


class ReadError(Exception):
    """An error in reading a file, as distinct from one in writing to the index."""


@dataclasses.dataclass
class FileContent:
    """A file that was read: its digest, and its documents, whose iterator may raise `ReadError`."""

    digest: bytes
    documents: Iterable[EncodedDocument]


# A function that reads a file, or raises `ReadError`.
Read: TypeAlias = Callable[[], FileContent]


@contextlib.contextmanager
def open_files(
    files: Mapping[str, str], digests: Mapping[str, bytes], encoding: str | None, workers: int
) -> Iterator[Iterator[tuple[str, Read]]]:
    """Returns names of files and functions that read them, in their order.

    Args:
        files: Paths of files by name.
        digests: Digests by name: the documents of files that have them are not read.
        encoding: Encoding of texts that are not Unicode.
        workers: Number of processes that read. With 1, the files are read in this process.
    """
    reads = {
        name: functools.partial(_read_file, path, name, encoding, digests.get(name))
        for name, path in files.items()
    }
    if workers == 1:
        yield iter(reads.items())
        return
    context = multiprocessing.get_context("spawn")
    ended, alive = context.Pipe(duplex=False)
    try:
        # The workers end if `alive` is closed: after an error, or with this process.
        with (
            contextlib.closing(ended),
            ProcessPoolExecutor(workers, context, _start_worker, (ended,)) as executor,
            contextlib.closing(alive),
        ):
            yield _read_ahead(executor, reads, _AHEAD * workers)
            executor.shutdown()
    except BrokenProcessPool:
        raise OSError(
            f"One of {workers} processes that read files ended: it was killed, or memory was short,"
            " or the script that started it has no `if __name__ == '__main__':`. Files read so far "
            "are in the index. Try again, or with `workers=1`."
        ) from None


def _read_ahead(
    executor: ProcessPoolExecutor, reads: Mapping[str, Read], count: int
) -> Iterator[tuple[str, Read]]:
    futures: collections.deque[tuple[str, Future[_Whole]]] = collections.deque()
    for name, read in reads.items():
        with blocked_sigint():
            futures.append((name, executor.submit(_read_whole, read)))
        if len(futures) == count:
            first, future = futures.popleft()
            yield first, functools.partial(_result, future)
    for name, future in futures:
        yield name, functools.partial(_result, future)


def _result(future: Future[_Whole]) -> FileContent:
    content, error = future.result()
    return FileContent(content.digest, _replay(content.documents, error))


def _replay(
    documents: Iterable[EncodedDocument], error: ReadError | None
) -> Iterator[EncodedDocument]:
    yield from documents
    if error is not None:
        raise error


def _start_worker(ended: Connection) -> None:
    # Windows has no mask of signals.
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    def wait() -> None:
        ended.poll(None)
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


# A file that was read to its end, or to an error.
_Whole: TypeAlias = tuple[FileContent, ReadError | None]


def _read_whole(read: Read) -> _Whole:
    content = read()
    documents: list[EncodedDocument] = []
    error = None
    try:
        for document in content.documents:
            documents.append(dataclasses.replace(document, passages=list(document.passages)))
    except ReadError as raised:
        error = raised
    return FileContent(content.digest, documents), error


def _read_file(path: str, name: str, encoding: str | None, known: bytes | None) -> FileContent:
    with _read_errors(), open(path, "rb") as file:
        digest = salted(hashlib.file_digest(file, "sha256").digest(), encoding)
    documents = () if digest == known else map(encode_document, iterate(path, name, encoding))
    return FileContent(digest, documents)


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


def reason(error: Exception) -> str:
    """Returns an error as one line."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return " ".join(str(error).split())[:300] or type(error).__name__
