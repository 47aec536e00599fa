"""Parses files in a child process, so that a file that takes too much loses no other.

The child imports no Keras. It gets a line of JSON for each file, and sends one for each document.
"""

from __future__ import annotations

import contextlib
import faulthandler
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from typing import IO, Any

from keras_qa.documents.document import Document
from keras_qa.documents.file_formats import read_documents
from keras_qa.documents.visible_text import Heading

# Default limits of a document: seconds, and gibibytes of memory where the system can limit it.
SECONDS, MEMORY = 60.0, 2.0
# `-m` would import from the folder in which the command runs, and the caller's path may be its own.
_START = (
    "import json, sys; seconds, memory, sys.path[:] = json.loads(sys.argv[1]); "
    "from keras_qa.documents.file_parser import serve; serve(seconds, memory)"
)
_OUT_OF_MEMORY = 3
# What `faulthandler` writes before it ends the process.
_TIMEOUT = b"Timeout ("


class ReadError(ValueError):
    """An error in reading a file, as distinct from one in writing to the index."""


class Parser:
    """A child process that parses files. It starts at the first one, and after one that ended it.

    Args:
        seconds: Maximum time for a document.
        memory: Maximum gibibytes for a document, on Linux. Other systems have no such limit.
    """

    def __init__(self, seconds: float = SECONDS, memory: float = MEMORY) -> None:
        self.seconds, self.memory = seconds, memory
        self._process: subprocess.Popen[bytes] | None = None
        self._log: IO[bytes] | None = None
        self._is_busy = False

    def parse(self, path: str, name: str, encoding: str | None) -> Iterator[Document]:
        """Yields the documents of a file. Raises `ReadError`.

        Only the documents of the last file that was parsed can be read.
        """
        if self._is_busy or (self._process is not None and self._process.poll() is not None):
            self.close()
        process = self._process or self._start()
        assert process.stdin is not None
        self._is_busy = True
        with contextlib.suppress(BrokenPipeError):
            process.stdin.write(json.dumps([path, name, encoding]).encode() + b"\n")
            process.stdin.flush()
        while self._is_busy:
            message = self._receive(process)
            if message is None:
                raise ReadError(self._why_it_ended())
            content, is_last = message
            self._is_busy = not is_last
            if isinstance(content, str):
                raise ReadError(content)
            if content is not None:
                yield _from_fields(*content)

    def _start(self) -> subprocess.Popen[bytes]:
        settings = json.dumps([self.seconds, self.memory, sys.path])
        self._log = tempfile.TemporaryFile()  # noqa: SIM115
        process = self._process = subprocess.Popen(
            [sys.executable, "-P", "-c", _START, settings],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
        )
        if self._receive(process) is None:
            # No file can be read.
            raise OSError(f"The process that parses files could not start: {self._why_it_ended()}.")
        return process

    def _receive(self, process: subprocess.Popen[bytes]) -> Any:
        """Returns the next message; `None` if the process has ended."""
        assert process.stdout is not None
        line = process.stdout.readline()
        return json.loads(line) if line.endswith(b"\n") else None

    def _why_it_ended(self) -> str:
        assert self._process is not None
        assert self._log is not None
        code = self._process.wait()
        self._log.seek(0)
        log = self._log.read(2**20)
        self.close()
        if log.startswith(_TIMEOUT) or b"\n" + _TIMEOUT in log:
            return f"reading it takes more than {self.seconds:g} seconds"
        if code == _OUT_OF_MEMORY:
            return f"reading it takes more than {self.memory:g} GiB of memory"
        if code < 0:
            return (
                f"the process that read it was ended by signal {-code}: it may be damaged, or take "
                f"more than {self.memory:g} GiB of memory"
            )
        lines = log.decode(errors="replace").split("\n")
        last = next((line for line in reversed(lines) if line.strip()), f"exit code {code}")
        return f"the process that read it ended: {last.strip()[:200]}"

    def close(self) -> None:
        """Ends the process."""
        if self._process is not None and self._log is not None:
            self._process.kill()
            # This closes its pipes, and waits.
            with contextlib.suppress(BrokenPipeError), self._process, self._log:
                pass
        self._process = self._log = None
        self._is_busy = False


def iterate(path: str, name: str, encoding: str | None) -> Iterator[Document]:
    """Yields the documents of a file, in this process. Raises `ReadError`."""
    names = set()
    with read_errors():
        for document in read_documents(path, name, encoding):
            if document.name in names:
                raise ValueError(f"it has two documents of the name {document.name!r}")
            names.add(document.name)
            yield document


@contextlib.contextmanager
def read_errors() -> Iterator[None]:
    """Raises the errors of reading a file as `ReadError`."""
    try:
        yield
    except (OSError, ValueError, ImportError) as error:
        raise ReadError(reason(error)) from None
    except RecursionError:
        raise ReadError("its parts are nested too deeply") from None


def reason(error: Exception) -> str:
    """Returns an error as one line."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return " ".join(str(error).split())[:300] or type(error).__name__


def serve(seconds: float, memory: float) -> None:
    """Parses the files that standard input names, in the child process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Libraries may print.
    with os.fdopen(os.dup(1), "wb") as output:
        os.dup2(2, 1)
        output.write(b"[]\n")
        output.flush()
        for line in sys.stdin.buffer:
            messages = _messages(*json.loads(line))
            is_last = False
            while not is_last:
                _limit_memory(memory)
                # It ends the process also while a library computes, on all systems.
                faulthandler.dump_traceback_later(seconds, exit=True)
                try:
                    content, is_last = next(messages)
                    message = json.dumps([content, is_last]).encode() + b"\n"
                except MemoryError:
                    os._exit(_OUT_OF_MEMORY)
                faulthandler.cancel_dump_traceback_later()
                output.write(message)
                output.flush()


def _messages(path: str, name: str, encoding: str | None) -> Iterator[tuple[object, bool]]:
    """Yields the fields of each document, or an error, and whether it is the last message."""
    fields = None
    try:
        for document in iterate(path, name, encoding):
            if fields is not None:
                yield fields, False
            fields = _to_fields(document)
    except ReadError as error:
        if fields is not None:
            yield fields, False
        fields = str(error)
    yield fields, True


def _to_fields(document: Document) -> Any:
    return document.name, document.text, document.pages, document.edits, document.headings


def _from_fields(name: str, text: str, pages: Any, edits: Any, headings: Any) -> Document:
    titles = None if headings is None else tuple(Heading(*heading) for heading in headings)
    return Document(name, text, tuple(pages), tuple(map(tuple, edits)), titles)


def _limit_memory(size: float) -> None:
    """Limits the memory that this process takes from now on."""
    if not sys.platform.startswith("linux"):
        return
    import resource

    pages = int(pathlib.Path("/proc/self/statm").read_text().split()[0])
    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    limit = pages * resource.getpagesize() + int(size * 2**30)
    if hard != resource.RLIM_INFINITY:
        limit = min(limit, hard)
    resource.setrlimit(resource.RLIMIT_AS, (limit, hard))
