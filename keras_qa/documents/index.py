"""`Index`: documents and their passages in one file, searched by words and vectors."""

from __future__ import annotations

import contextlib
import os
import re
import sys
import threading
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import overload

from keras_qa._arguments import (
    check_number,
    check_string,
    is_integer,
    must_be,
    to_integer,
    to_path,
)
from keras_qa.documents import storage
from keras_qa.documents.document import Document, Passage, to_documents
from keras_qa.documents.file_parser import MEMORY, SECONDS, Parser
from keras_qa.documents.folder import Changes, Progress, read_paged_file, update_index
from keras_qa.documents.full_text import FullTextTokenizer
from keras_qa.documents.pdf_pages import draw_page, find_boxes
from keras_qa.documents.search import find_problems, read_passages, search
from keras_qa.documents.shards import (
    Shard,
    check_single,
    find_document,
    missing_document,
    open_shards,
    reading,
)
from keras_qa.documents.storage import get_setting, translate_sqlite_errors
from keras_qa.documents.vector_search import (
    Floats,
    TextEmbedderLike,
    check_encoder,
    check_same_encoder,
    read_encoder_name,
    unit_vectors,
)
from keras_qa.documents.visible_text import VisibleText, visible_part
from keras_qa.documents.workers import Pool
from keras_qa.documents.writing import Writer
from keras_qa.example import Box, to_questions

# Not `Sequence[str]`, because a string is one.
Questions = list[str] | tuple[str, ...] | Iterator[str]


class Index:
    """Documents and their passages in one SQLite file, searched by words and by vectors.

    Create it with `Index.create`, open it with `Index.open`. Several processes can read it while
    one writes. It opens again after an interrupted change. `path` is its file.

    Examples:
        >>> import os, tempfile
        >>> from keras_qa.documents import Index
        >>> path = os.path.join(tempfile.mkdtemp(), "handbook.index")
        >>> with Index.create(path) as index:
        ...     index.add([{"name": "a.txt", "text": "The warranty is two years."}])
        ...     [passage.document for passage in index.search("How long is the warranty?")]
        1
        ['a.txt']
    """

    def __init__(self, shards: list[Shard], encoder: TextEmbedderLike | None = None) -> None:
        self._shards = shards
        # Several shards have the same settings, but some may be missing before the first document.
        filled = (s for s in shards[:-1] if get_setting(s.connection, "counted", int) is not None)
        main = next(filled, shards[-1])
        self.path = main.path
        self._connection = main.connection
        self._encoder = encoder
        self._warned: set[str] = set()
        self._tokenizer: FullTextTokenizer | None = None
        # Threads use the connection one after another.
        self._lock = threading.RLock()

    @classmethod
    def create(
        cls,
        path: str | os.PathLike[str],
        language: str | None = None,
        encoder: TextEmbedderLike | None = None,
        exist_ok: bool = False,
        workers: int = 1,
    ) -> Index:
        """Creates an empty index.

        Args:
            path: Path of the new file.
            language: Language of the texts (ISO 639-1). English (`"en"`) is searched by stems,
                other languages by words. `None` to detect it from the first texts.
            encoder: Encoder of passages and questions, to search by vectors as well as by words:
                an `answering.TextEmbedder`, or another object with a `name` that turns a list of
                strings into an array `(texts, dimension)`. `None` to search by words only.
            exist_ok: Whether to open an index that exists. If it has no vectors, those of `encoder`
                are added to it.
            workers: Number of processes that compute these vectors, as in `update`.

        Raises:
            FileExistsError: If the file exists, unless `exist_ok`.
            FileNotFoundError: If its folder does not exist.
            ValueError: If `language` is not a code of two or three letters, or if the index exists
                and has another language or encoder.
        """
        if language is not None and not re.fullmatch("[a-z]{2,3}", str(language)):
            expected = "a code of two or three letters, such as 'en'"
            raise ValueError(must_be("language", expected, language))
        check_encoder(encoder)
        workers = to_integer("workers", workers)
        path = to_path("path", path).expanduser()
        if not (exist_ok and path.exists()):
            index = cls([Shard(path, storage.create_file(path))], encoder)
            with index._writing() as writer:
                writer.write_setting("reading", storage.READING)
                writer.add_settings(language, encoder)
            return index
        with cls.open(path) as index:
            current = index.language
            if language is not None and current not in (None, language):
                raise ValueError(
                    f"`{path}` was made for the language {current!r}, which cannot change. Name "
                    "another file, or delete it."
                )
            if (encoder and not index.encoder_name) or (language and not current):
                with (
                    _open_pool(workers, encoder) as pool,
                    index._writing(pool=pool) as writer,
                ):
                    writer.add_settings(language, encoder)
        return cls.open(path, encoder)

    @classmethod
    def open(
        cls,
        path: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
        encoder: TextEmbedderLike | None = None,
        timeout: float = storage.TIMEOUT,
    ) -> Index:
        """Opens an index, or several as one.

        Args:
            path: Path of the file. A list of paths opens several indexes to search, with the
                scores and the order of one index of all their documents. It cannot be changed.
            encoder: The encoder that the index was created with. Without it, an index with vectors
                is searched by words only, with a warning, and documents cannot be added.
            timeout: Seconds to wait while another process writes the file. An `OSError` follows.

        Raises:
            FileNotFoundError: If the file does not exist.
            ValueError: If the file is not an index, or was created with another encoder or none. If
                several indexes have different languages or encoders, or documents of the same name.
        """
        # Validate the encoder before opening the file.
        check_encoder(encoder)
        check_number("timeout", timeout, positive=True)
        with contextlib.ExitStack() as on_error:
            index = on_error.enter_context(cls(open_shards(path, timeout), encoder))
            if encoder is not None:
                check_same_encoder(index.path, index.encoder_name, encoder)
            on_error.pop_all()
        return index

    def add(self, documents: Iterable[Document | Mapping[str, str]]) -> int:
        """Adds documents. A document replaces one of the same name.

        Args:
            documents: An iterable of `Document` objects or of mappings with the keys `name` and
                `text`, or a pandas or polars DataFrame with these two columns.

        Returns:
            The number of documents that are new or have changed.

        Raises:
            TypeError: If an entry is not a document. Batches written before an error are kept.
            ValueError: If a key is missing or unknown, or if the index has vectors and was opened
                without its encoder.
        """
        with self._writing(adds=True) as writer:
            return writer.write_all(to_documents(documents))

    def remove(self, name: str) -> None:
        """Removes the document of a name, or raises a `KeyError` if there is none."""
        check_string("name", name)
        with self._writing() as writer:
            if not writer.remove(name):
                raise missing_document(name)

    def update(
        self,
        folder: str | os.PathLike[str],
        encoding: str | None = None,
        verbose: int | str = "auto",
        progress: Progress | None = None,
        workers: int = 1,
        max_seconds: float = SECONDS,
        max_memory: float = MEMORY,
    ) -> Changes:
        """Brings the index up to date with a folder.

        Indexes files whose content is new or has changed, and removes the documents of files that
        no longer exist. Documents added by `add` stay. An index follows one folder.

        Args:
            folder: A folder, including subfolders that are not hidden, or a single file.
            encoding: Encoding of text files that are not Unicode and declare none. `None` for that
                of the last update; at first such files are skipped, and again with "utf-8".
            verbose: 0 for silent, 1 for a progress bar, `"auto"` for a bar if there are many files.
            progress: Function of the number of files that are done, and of all files, which is
                called after each file instead. An error that it raises ends the update.
            workers: Number of processes that read files and compute vectors, while this one
                writes. Each gets a copy of the encoder by `pickle`. A script that passes more than
                1 needs `if __name__ == "__main__":`.
            max_seconds: Maximum time to parse a document, in a process of its own. A file that
                takes longer is skipped.
            max_memory: Maximum gibibytes of memory to parse a document, on Linux.

        Returns:
            The changes: the numbers of documents `written` (new or changed) and `removed`, of files
            `kept` (unchanged) and `others` (of unsupported types), and `unreadable`, a dict with
            the reason for each file that could not be read and was skipped.

        Raises:
            FileNotFoundError: If the folder does not exist.
            OSError: If one of the `workers` was killed, or the process that parses cannot start.
            ValueError: If the encoding is unknown, if the index follows another folder, or if it
                has vectors and was opened without its encoder.
        """
        workers = to_integer("workers", workers)
        path = to_path("folder", folder)
        if encoding is not None:
            check_string("encoding", encoding)
        check_number("max_seconds", max_seconds, positive=True)
        check_number("max_memory", max_memory, positive=True)
        with (
            contextlib.closing(Parser(float(max_seconds), float(max_memory))) as parser,
            _open_pool(workers, self._encoder) as pool,
            self._writing(adds=True, pool=pool) as writer,
        ):
            return update_index(
                writer, self._connection, path, encoding, verbose, progress, pool, parser
            )

    @overload
    def search(self, question: str, k: int = 20) -> list[Passage]: ...

    @overload
    def search(self, question: Questions, k: int = 20) -> list[list[Passage]]: ...

    def search(self, question: str | Questions, k: int = 20) -> list[Passage] | list[list[Passage]]:
        """Finds the most relevant passages for a question.

        The score is BM25. With vectors, it is the mean of BM25 and of the cosine similarity, each
        divided by the best one for the question (a convex combination, arXiv:2210.11934).

        Args:
            question: A question, or an iterable of questions. Only words count: there is no syntax.
            k: Maximum number of passages for each question.

        Returns:
            A list of `Passage` objects, best first; for several questions, a list of such lists.
            Only passages with a word of the question, or with a positive cosine similarity, are
            returned; none for a question without words.
        """
        # SQLite takes no NumPy integers.
        k = to_integer("k", k)
        questions = to_questions(question)
        results: list[list[Passage]] = [[] for _ in questions]
        with self._locked():
            for message in find_problems(self.path, self._connection, self._encoder is not None):
                if message not in self._warned:
                    self._warned.add(message)
                    warnings.warn(message, stacklevel=2)
            language, vectors = self.language, self._encode(questions)
            if language is not None:
                self._tokenizer = self._tokenizer or FullTextTokenizer(language)
                with self._reading():
                    ranked = search(self._shards, self._tokenizer, questions, k, vectors)
                    results = [read_passages(self._shards, row) for row in ranked]
        return results[0] if isinstance(question, str) else results

    def text(self, name: str, start: int = 0, end: int | None = None) -> str:
        """Returns `text[start:end]` of a document, with its markup, or raises a `KeyError`."""
        with self._reading():
            return storage.read_text(*find_document(self._shards, name), start, end)

    def visible_text(self, name: str, start: int = 0, end: int | None = None) -> VisibleText:
        """Returns what a reader sees of `text(name, start, end)`.

        Returns:
            An object with `text`, the text without markup. `to_source(first, last)` and
            `to_visible(offset)` convert offsets from this text to the part, and back.
        """
        with self._reading():
            document = find_document(self._shards, name)
            text = storage.read_text(*document, start, end)
            return visible_part(text, storage.read_edits(*document), start)

    def boxes(self, name: str, start: int, end: int) -> tuple[Box, ...]:
        """Returns where `text(name, start, end)` of a PDF file is on its pages.

        The file is read again, in the folder that the index follows.

        Returns:
            A `Box` for each line of the part. The tuple is empty if the document is not a PDF
            file, or if the file is missing, a link, or has changed since.
        """
        start = to_integer("start", start, 0, sys.maxsize)
        end = to_integer("end", end, 0, sys.maxsize)
        with self._reading():
            document = find_document(self._shards, name)
            file = read_paged_file(*document)
            text = storage.read_text(*document)
        return () if file is None else find_boxes(*file, text, start, end)

    def draw_page(self, name: str, page: int) -> bytes | None:
        """Returns a picture of a page of a PDF file: a PNG file, 1,600 pixels on its longer side.

        Pages count from 1. `None` if there is no such page, or if `boxes` would be empty.
        """
        if not is_integer(page, -sys.maxsize):
            raise ValueError(must_be("page", "an integer", page))
        with self._reading():
            file = read_paged_file(*find_document(self._shards, name))
        return None if file is None else draw_page(file[0], page)

    def pages(self, name: str) -> tuple[int, ...]:
        """Returns the offset of the start of each page of a document; none if it has no pages."""
        with self._reading():
            connection, number = find_document(self._shards, name)
            query = "SELECT pages FROM documents WHERE id = ?"
            return storage.decode_pages(connection.execute(query, (number,)).fetchone()[0])

    @property
    def names(self) -> list[str]:
        """Names of all documents, in the order in which they were written."""
        with self._reading():
            query = "SELECT name FROM documents ORDER BY id"
            rows = [row for shard in self._shards for row in shard.connection.execute(query)]
            return [storage.decode_text(raw) for (raw,) in rows]

    @property
    def passages(self) -> int:
        """Number of passages."""
        return self._count("passages")

    @property
    def encoder_name(self) -> str | None:
        """Name of the encoder of the vectors; `None` if there are no vectors."""
        with self._locked():
            return read_encoder_name(self._connection)

    @property
    def language(self) -> str | None:
        """Language of the texts; `"und"` if it is unknown, `None` before the first text."""
        with self._locked():
            return get_setting(self._connection, "language", str)

    @property
    def encoding(self) -> str | None:
        """Encoding of texts that are not Unicode, as `update` was given it."""
        with self._locked():
            return get_setting(self._connection, "encoding", str)

    def __len__(self) -> int:
        """Returns the number of documents."""
        return self._count("documents")

    def _count(self, table: str) -> int:
        with self._locked():
            query = f"SELECT count(*) FROM {table}"
            return sum(shard.connection.execute(query).fetchone()[0] for shard in self._shards)

    def close(self) -> None:
        """Closes the file. Changes are saved already."""
        with self._lock:
            if self._tokenizer is not None:
                self._tokenizer.close()
                self._tokenizer = None
            for shard in self._shards:
                shard.connection.close()

    def __enter__(self) -> Index:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _encode(self, questions: list[str]) -> Floats | None:
        """Returns the vectors of questions, or `None` to search by words only."""
        dimension = get_setting(self._connection, "dimension", int)
        if self._encoder is None or dimension is None or not questions:
            return None
        return unit_vectors(self._encoder(questions), questions, self._encoder.name, dimension)

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        with self._lock, translate_sqlite_errors(self.path):
            yield

    @contextlib.contextmanager
    def _reading(self) -> Iterator[None]:
        with self._locked(), reading(self._shards):
            yield

    @contextlib.contextmanager
    def _writing(self, adds: bool = False, pool: Pool | None = None) -> Iterator[Writer]:
        check_single(self._shards)
        with self._locked():
            with self._reading():
                # This verifies the checksum: a new one would hide earlier damage.
                name = read_encoder_name(self._connection)
            if adds and name is not None and self._encoder is None:
                raise ValueError(
                    f"`{self.path}` has vectors of the encoder {name!r}, so new documents need it, "
                    "too. Open it with `Index.open(path, encoder=…)`, or "
                    f"`keras-qa index --embed {name}`."
                )
            try:
                with Writer(self._connection, self._encoder, pool) as writer:
                    if adds:
                        writer.encode_missing()
                    yield writer
            finally:
                self._shards[0].forget()


def _open_pool(
    size: int, encoder: TextEmbedderLike | None
) -> contextlib.AbstractContextManager[Pool | None]:
    """Returns a pool for a `with` block, or `None` for a single process."""
    return contextlib.closing(Pool(size, encoder)) if size > 1 else contextlib.nullcontext()
