"""An index: documents and their passages in one file, to be searched by words and vectors."""

from __future__ import annotations

import contextlib
import itertools
import os
import pathlib
import re
import threading
import warnings
from collections.abc import Iterable, Iterator, Mapping
from types import TracebackType
from typing import overload

from keras_qa._arguments import to_integer
from keras_qa.documents import storage
from keras_qa.documents.checksums import Verifier
from keras_qa.documents.document import Document, Hit, to_documents
from keras_qa.documents.folder import Changes, update
from keras_qa.documents.search import search
from keras_qa.documents.storage import setting, told
from keras_qa.documents.vectors import (
    Encoder,
    Floats,
    Nearest,
    check_encoder,
    dimension_of,
    encoder_of,
    make_vectors,
    unit_vectors,
)
from keras_qa.documents.words import Words
from keras_qa.documents.writing import SAMPLE, Writer, make_words, text_of
from keras_qa.example import to_questions
from keras_qa.files.sqlite import sqlite3

# Any sequence would be a string, too.
Questions = list[str] | tuple[str, ...] | Iterator[str]


class Index:
    """Documents and their passages in one file, to be searched by words, and by vectors.

    It is an SQLite file with FTS5. `Index.create` makes one, `Index.open` opens it. Several may
    read it while one writes. What is written is written in transactions: an index that was broken
    off in the middle of its work opens again, with whole documents only.

    Attributes:
        path: Where it is.

    Examples:
        >>> import os, tempfile
        >>> from keras_qa.documents import Index
        >>> path = os.path.join(tempfile.mkdtemp(), "handbook.index")
        >>> with Index.create(path) as index:
        ...     index.add([{"name": "a.txt", "text": "The warranty is two years."}])
        ...     [hit.document for hit in index.search("How long is the warranty?")]
        1
        ['a.txt']
    """

    def __init__(
        self,
        path: pathlib.Path,
        connection: sqlite3.Connection,
        encoder: Encoder | None = None,
    ) -> None:
        self.path = path
        self._connection = connection
        self._encoder = encoder
        self._nearest = Nearest()
        self._verifier = Verifier()
        self._told = False
        self._words: Words | None = None
        # Threads ask and write one after the other.
        self._lock = threading.RLock()

    @classmethod
    def create(
        cls,
        path: str | os.PathLike[str],
        language: str | None = None,
        encoder: Encoder | None = None,
    ) -> Index:
        """Makes an empty index.

        Args:
            path: Where to.
            language: The language of the texts, as ISO 639-1 has it. The words of `"en"` are found
                by their stem, others as they are written. `None` to tell it from the first texts.
            encoder: What gives passages vectors, by which they are searched beside their words,
                such as `answering.TextEmbedder("minilm")`. `None` for words alone.

        Returns:
            The `Index`.

        Raises:
            FileExistsError: If something is there already.
            FileNotFoundError: If its folder does not exist.
            TypeError: If `encoder` is none.
            ValueError: If `language` is no code of two or three letters.
        """
        if language is not None and not re.fullmatch("[a-z]{2,3}", language):
            raise ValueError(
                "`language` must be a code of two or three letters, such as 'en'. Received: "
                f"language={language!r}."
            )
        if encoder is not None:
            check_encoder(encoder)
        path = pathlib.Path(path).expanduser()
        index = cls(path, storage.create(path), encoder)
        with told(path), storage.transaction(index._connection):
            if language is not None:
                make_words(index._connection, language)
            if encoder is not None:
                make_vectors(index._connection, encoder.name)
        return index

    @classmethod
    def open(cls, path: str | os.PathLike[str], encoder: Encoder | None = None) -> Index:
        """Opens an index.

        Args:
            path: Where it is.
            encoder: The encoder that it was made with. Without it an index that has vectors is
                searched by words alone, which a warning says once, and takes no new documents.

        Returns:
            The `Index`.

        Raises:
            FileNotFoundError: If nothing is there.
            TypeError: If `encoder` is none.
            ValueError: If it is no index, of a newer version, or cut short; or if it was made with
                another encoder, or without one.

        Warns:
            UserWarning: If the index was made by an earlier version and has no checksum.
        """
        if encoder is not None:
            # Validate the encoder before opening the file.
            check_encoder(encoder)
        path = pathlib.Path(path).expanduser()
        with contextlib.ExitStack() as unless_used:
            index = unless_used.enter_context(cls(path, storage.open_(path)))
            if storage.version_of(index._connection) < storage.SEALED:
                warnings.warn(
                    f"`{path}` was made by an earlier version and has no checksum: damage to it "
                    "may go unnoticed. The next `add` or `update` writes one.",
                    stacklevel=2,
                )
            if encoder is not None:
                index.use(encoder)
            unless_used.pop_all()
        return index

    def use(self, encoder: Encoder | None) -> None:
        """Has an encoder from now on, as if it had been opened with it.

        Args:
            encoder: The encoder that it was made with, see `encoder_name`. `None` to search by
                words alone, of which no warning is given then.

        Raises:
            TypeError: If `encoder` is none.
            ValueError: If it was made with another encoder, or without one.
        """
        if encoder is None:
            with self._lock:
                self._encoder, self._told = None, True
            return
        check_encoder(encoder)
        name = self.encoder_name
        if name is None:
            raise ValueError(
                f"`{self.path}` was made without an encoder, and has no vectors. Make another "
                "index with it: `Index.create(path, encoder=…)`, or `keras-qa index --embed`."
            )
        if encoder.name != name:
            raise ValueError(
                f"`{self.path}` has vectors of the encoder {name!r}, and none of {encoder.name!r}. "
                "Open it with the encoder that it was made with, or make another index."
            )
        with self._lock:
            self._encoder = encoder

    def add(self, documents: Iterable[Document | Mapping[str, str]]) -> int:
        """Adds documents. One takes the place of another of the same name.

        Args:
            documents: `Document` objects, or mappings with the keys `name` and `text`: any
                iterable, which is read as it is written. Or a pandas or polars DataFrame with
                these two columns.

        Returns:
            How many are new or have changed.

        Raises:
            TypeError: If an entry is no document.
            ValueError: If a key is missing or unknown. Those before it are kept. If the index has
                vectors and was opened without its encoder, or that gives no vectors.
        """
        entries = to_documents(documents)
        with self._writing(puts=True) as writer:
            first: list[Document] = []
            while self.language is None and sum(len(one.text) for one in first) < SAMPLE:
                document = next(entries, None)
                if document is None:
                    break
                first.append(document)
            writer.settle("\n".join(document.text for document in first))
            return sum(writer.put(document) for document in itertools.chain(first, entries))

    def remove(self, name: str) -> None:
        """Takes a document out.

        Args:
            name: Its name.

        Raises:
            KeyError: If there is none of that name.
        """
        with self._writing() as writer:
            if not writer.drop(name):
                raise KeyError(f"The index has no document {name!r}.")

    def update(
        self,
        folder: str | os.PathLike[str],
        encoding: str | None = None,
        verbose: int | str = "auto",
    ) -> Changes:
        """Makes the index say what a folder says.

        Files that are new or have changed are read, by their content, and what is gone is taken
        out. Documents that were added by `add` stay. An index follows one folder.

        Args:
            folder: The folder, with the folders in it, but for hidden ones; or one file.
            encoding: What texts are encoded by that are not UTF-8 and do not say. `None` to leave
                them out.
            verbose: 0 is silent, 1 shows a progress bar, `"auto"` shows it for many files.

        Returns:
            The `Changes`, with the files that could not be read.

        Raises:
            FileNotFoundError: If there is no such folder.
            ValueError: If the encoding is unknown, or the index follows another folder; or if it
                has vectors and was opened without its encoder, or that gives no vectors.
        """
        with self._writing(puts=True) as writer:
            return update(writer, self._connection, pathlib.Path(folder), encoding, verbose)

    @overload
    def search(self, question: str, k: int = 20) -> list[Hit]: ...

    @overload
    def search(self, question: Questions, k: int = 20) -> list[list[Hit]]: ...

    def search(self, question: str | Questions, k: int = 20) -> list[Hit] | list[list[Hit]]:
        """Finds the passages that have most to do with a question, by BM25.

        With vectors its score is the mean of two, by BM25 and by the cosine of the vectors, each
        as a share of the best one that a passage has for the question.

        Args:
            question: The question; or several, as a list or any other iterable of strings, such
                as a pandas Series. It has no syntax: words, and all else is left out.
            k: Number of passages a question.

        Returns:
            A list of `Hit` objects, best first, which has less than `k` where no more passages have
            a word of the question, nor a vector whose cosine is above 0; for a list of questions a
            list of such lists. Nothing is found for a question without a word.

        Raises:
            TypeError: If a question is no string.
            ValueError: If `k` is not a positive integer, or the encoder gives no vectors.

        Reference:
            Bruch, Gai and Ingber 2023, "An Analysis of Fusion Functions for Hybrid Retrieval",
            arXiv:2210.11934.
        """
        # SQLite takes no NumPy integers.
        k = to_integer("k", k)
        questions = to_questions(question)
        with self._lock, told(self.path):
            words, vectors = self._cutter(), self._vectors_of(questions)
            if words is None:
                found: list[list[Hit]] = [[] for _ in questions]
            else:
                found = search(
                    self._connection, words, questions, k, self._nearest, vectors, self._verifier
                )
        return found[0] if isinstance(question, str) else found

    def text(self, name: str, start: int = 0, end: int | None = None) -> str:
        """The text of a document, in which offsets count, or a part of it.

        Args:
            name: Its name.
            start: Where the part begins, in characters.
            end: One past its last character. `None` for the end of the text.

        Returns:
            The text as it was read.

        Raises:
            KeyError: If there is none of that name.
        """
        with self._lock, told(self.path), storage.transaction(self._connection, writes=False):
            self._verifier.verify(self._connection)
            key = (storage.encoded(name),)
            row = self._connection.execute(
                "SELECT id FROM documents WHERE name = ?", key
            ).fetchone()
            if row is None:
                raise KeyError(f"The index has no document {name!r}.")
            self._verifier.verify_document(self._connection, row[0])
            return text_of(self._connection, row[0], start, end)

    @property
    def names(self) -> list[str]:
        """The names of all documents, in the order in which they were written."""
        with self._lock, told(self.path), storage.transaction(self._connection, writes=False):
            self._verifier.verify(self._connection)
            rows = self._connection.execute("SELECT name FROM documents ORDER BY id")
            return [storage.decoded(raw) for (raw,) in rows]

    @property
    def passages(self) -> int:
        """How many passages there are."""
        with self._lock, told(self.path):
            count: int
            (count,) = self._connection.execute("SELECT count(*) FROM passages").fetchone()
            return count

    @property
    def encoder_name(self) -> str | None:
        """The name of the encoder that the vectors are of; `None` where there are no vectors."""
        with self._lock, told(self.path):
            return encoder_of(self._connection)

    @property
    def language(self) -> str | None:
        """The language that words are cut for; `"und"` for none, `None` before the first text."""
        with self._lock, told(self.path):
            found = setting(self._connection, "language")
            return None if found is None else str(found)

    def __len__(self) -> int:
        """How many documents there are."""
        with self._lock, told(self.path):
            count: int
            (count,) = self._connection.execute("SELECT count(*) FROM documents").fetchone()
            return count

    def close(self) -> None:
        """Closes the file. What was written is kept without it, too."""
        with self._lock:
            if self._words is not None:
                self._words.close()
                self._words = None
            self._connection.close()

    def __enter__(self) -> Index:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _cutter(self) -> Words | None:
        """What cuts questions, or `None` where there is no text yet."""
        if self._words is None:
            language = setting(self._connection, "language")
            if language is not None:
                self._words = Words(str(language))
        return self._words

    def _vectors_of(self, questions: list[str]) -> Floats | None:
        """The vectors of questions, or `None` where they are searched by words alone."""
        if self._encoder is not None:
            known = dimension_of(self._connection)
            return unit_vectors(self._encoder, questions, known) if known and questions else None
        name = encoder_of(self._connection)
        if name is not None and not self._told:
            self._told = True
            warnings.warn(
                f"`{self.path}` has vectors of the encoder {name!r}, and was opened without it: it "
                "is searched by words alone. Open it by `Index.open(path, encoder=…)`.",
                stacklevel=3,
            )
        return None

    @contextlib.contextmanager
    def _writing(self, puts: bool = False) -> Iterator[Writer]:
        with self._lock, told(self.path):
            name = encoder_of(self._connection)
            if puts and name is not None and self._encoder is None:
                raise ValueError(
                    f"`{self.path}` has vectors of the encoder {name!r}, and what is new would "
                    "have none. Open it with that encoder: `Index.open(path, encoder=…)`, or "
                    f"`keras-qa index --embed {name}`."
                )
            with storage.transaction(self._connection, writes=False):
                # A new checksum must not be of what was damaged before.
                self._verifier.verify(self._connection)
            try:
                with Writer(self._connection, self._encoder) as writer:
                    yield writer
            finally:
                self._nearest.forget()
                self._verifier.forget_documents()
