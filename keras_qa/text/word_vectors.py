"""Pretrained word vectors from GloVe's text files or NumPy files."""

from __future__ import annotations

import array
import os
import re
import zlib
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from keras_qa.text.tokenizer import WordTokenizer

# A longer line is not a word with its vector.
MAX_LINE_BYTES = 2**22
_ARCHIVES = (b"PK\x03\x04", b"\x1f\x8b")
_HEADER = re.compile(r"\d+ \d+")


class WordVectors:
    """Words with one vector each.

    Args:
        words: The words, each once.
        array: `(words, dim)`: the vector of each word.

    Attributes:
        words: The words.
        array: `(words, dim)` float32.

    Raises:
        ValueError: If the numbers of words and vectors differ, a word occurs
            twice, or a number is not finite.

    Reference:
        Pennington et al. 2014, "GloVe: Global Vectors for Word Representation",
        D14-1162.

    Examples:
        >>> import numpy as np
        >>> from keras_qa.text import WordTokenizer, WordVectors
        >>> vectors = WordVectors(["mary", "home"], np.array([[1, 2], [3, 4]]))
        >>> tokenizer = WordTokenizer.train(["Mary Mary went home home home."])
        >>> tokenizer.vocabulary
        ['[PAD]', '[UNK]', 'home', 'mary', '.', 'went']
        >>> vectors.table(tokenizer)[[0, 2, 3]].tolist()
        [[0.0, 0.0], [3.0, 4.0], [1.0, 2.0]]
        >>> vectors.coverage(tokenizer)
        2
    """

    def __init__(self, words: Sequence[str], array: npt.ArrayLike) -> None:
        self.words = list(words)
        self.array: npt.NDArray[np.float32] = np.asarray(array, "float32")
        if self.array.ndim != 2 or len(self.array) != len(self.words) or not self.array.shape[1]:
            raise ValueError(
                "`array` must have the shape (words, dim), with one row for each of the "
                f"{len(self.words)} `words`. Received: {self.array.shape}."
            )
        self._rows = {word: row for row, word in enumerate(self.words)}
        if len(self._rows) != len(self.words):
            twice = next(word for row, word in enumerate(self.words) if self._rows[word] != row)
            raise ValueError(f"`words` holds {twice!r} more than once. Keep one of them.")
        invalid = np.argwhere(~np.isfinite(self.array))
        if len(invalid):
            row, column = invalid[0].tolist()
            raise ValueError(
                f"The vector of {self.words[row]!r} must hold finite float32 numbers. Received: "
                f"{self.array[row, column]} at position {column}."
            )

    @classmethod
    def load(
        cls,
        path: str | os.PathLike[str],
        vocabulary: str | os.PathLike[str] | Sequence[str] | None = None,
        words: Iterable[str] | None = None,
    ) -> WordVectors:
        """Reads vectors from a file.

        Args:
            path: UTF-8 text with a word and its numbers on each line, as GloVe
                writes it (a first line with the numbers of words and dimensions
                is skipped); or a `.npy` file of shape (words, dim), together
                with `vocabulary`.
            vocabulary: The words of a `.npy` file, in the order of its rows: a
                list, or a text file with one word per line.
            words: The words to keep, such as `tokenizer.vocabulary`; their
                lower case forms are kept too. This bounds the memory. `None`
                keeps all words.

        Returns:
            The `WordVectors`, in the order of the file.

        Raises:
            FileNotFoundError: If `path` or `vocabulary` does not exist.
            ValueError: If the file is malformed.

        Examples:
            ```python
            vectors = keras_qa.text.WordVectors.load("glove.6B.50d.txt", words=tokenizer.vocabulary)
            ```
        """
        file = _check_file("path", path)
        wanted = None
        if words is not None:
            if isinstance(words, (str, bytes)):
                raise TypeError(f"`words` must be a list of words. Received: {words!r}.")
            wanted = set(words)
            wanted |= {word.lower() for word in wanted}
        is_numpy = file.suffix.lower() == ".npy"
        if is_numpy and vocabulary is None:
            raise ValueError(
                f"`path={str(path)!r}` holds vectors without words. Pass them as `vocabulary`."
            )
        if not is_numpy and vocabulary is not None:
            raise ValueError(f"`path={str(path)!r}` holds its own words. Leave out `vocabulary`.")
        if isinstance(vocabulary, (str, os.PathLike)):
            vocabulary = _read_words(_check_file("vocabulary", vocabulary))
        if vocabulary is None:
            found = _read_text(file, wanted)
        else:
            found = _read_numpy(file, list(vocabulary), wanted)
        try:
            return cls(*found)
        except ValueError as error:
            raise ValueError(f"`{file}`: {error}") from None

    @property
    def dim(self) -> int:
        """Number of dimensions of a vector."""
        return int(self.array.shape[1])

    def __repr__(self) -> str:
        # `recipes` compares this text to tell whether resumed training uses the same vectors.
        digest = zlib.crc32("\n".join(self.words).encode(errors="replace"))
        digest = zlib.crc32(self.array.tobytes(), digest)
        return f"<WordVectors: {len(self):,} words, {self.dim} numbers each, {digest:08x}>"

    def __len__(self) -> int:
        return len(self.words)

    def __contains__(self, word: str) -> bool:
        return word in self._rows

    def __getitem__(self, word: str) -> npt.NDArray[np.float32]:
        vector: npt.NDArray[np.float32] = self.array[self._rows[word]]
        return vector

    def coverage(self, tokenizer: WordTokenizer) -> int:
        """Counts the words of a tokenizer that have a vector.

        Args:
            tokenizer: A `WordTokenizer`.

        Returns:
            Their number, without padding and the unknown word.
        """
        return int((self._find_rows(tokenizer) >= 0).sum())

    def table(self, tokenizer: WordTokenizer, seed: int = 0) -> npt.NDArray[np.float32]:
        """Builds an embedding table for a tokenizer.

        A word without a vector gets the vector of its lower case form. If that
        is missing too, and for the unknown word, the row is drawn from a normal
        distribution with the mean and standard deviation of each column.

        Args:
            tokenizer: A `WordTokenizer`.
            seed: Seed of the drawn rows. A drawn row depends on `seed` and the
                word's id alone.

        Returns:
            `(vocabulary_size, dim)` float32. Row 0, padding, is zeros.

        Raises:
            TypeError: If `tokenizer` is not a `WordTokenizer`.
            ValueError: If there are no vectors.
        """
        rows = self._find_rows(tokenizer)
        if not len(self):
            raise ValueError(
                "`WordVectors` must hold at least one vector. Received none. Load vectors for the "
                "words of this tokenizer."
            )
        drawn = np.random.default_rng(seed).normal(size=(len(rows), self.dim))
        mean, deviation = self.array.mean(axis=0), self.array.std(axis=0)
        table: npt.NDArray[np.float32] = (mean + deviation * drawn).astype("float32")
        known = rows >= 0
        table[known] = self.array[rows[known]]
        table[0] = 0.0
        return table

    def _find_rows(self, tokenizer: WordTokenizer) -> npt.NDArray[np.int64]:
        """Row of each id's word in `array`, -1 if it has none."""
        if not isinstance(tokenizer, WordTokenizer):
            raise TypeError(
                f"`tokenizer` must be a `WordTokenizer`. Received a {type(tokenizer).__name__}."
            )
        # Ids 0 and 1, padding and the unknown word, never have a vector.
        rows = [-1, -1]
        for word in tokenizer.vocabulary[2:]:
            row = self._rows.get(word, -1)
            rows.append(row if row >= 0 else self._rows.get(word.lower(), -1))
        return np.array(rows)


def _check_file(name: str, path: str | os.PathLike[str]) -> Path:
    file = Path(path).expanduser()
    if not file.is_file():
        raise FileNotFoundError(f"`{name}` must be a file. Received: {name}={str(path)!r}.")
    return file


def _read_words(path: Path) -> list[str]:
    try:
        lines = path.read_bytes().decode("utf-8-sig").split("\n")
    except UnicodeDecodeError as error:
        raise ValueError(f"`{path}` must be UTF-8: {error}. Save it as UTF-8.") from None
    if not lines[-1]:
        lines.pop()
    return [line.removesuffix("\r") for line in lines]


def _read_numpy(
    path: Path, words: list[str], wanted: Collection[str] | None
) -> tuple[list[str], npt.NDArray[np.float32]]:
    try:
        rows = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError, OSError) as error:
        raise ValueError(f"`{path}` is not a NumPy array: {error}") from None
    if rows.ndim != 2 or rows.dtype.kind != "f" or not rows.shape[1]:
        raise ValueError(
            f"`{path}` must hold floating-point numbers of shape (words, dim). Received: "
            f"{rows.dtype} of shape {rows.shape}."
        )
    if len(rows) != len(words):
        raise ValueError(
            f"`vocabulary` must have one word for each of the {len(rows):,} rows of `{path}`. "
            f"Received: {len(words):,} words."
        )
    if wanted is None:
        return words, np.array(rows, "float32")
    kept = [row for row, word in enumerate(words) if word in wanted]
    return [words[row] for row in kept], np.array(rows[kept], "float32")


def _read_text(
    path: Path, wanted: Collection[str] | None
) -> tuple[list[str], npt.NDArray[np.float32]]:
    words: list[str] = []
    values = array.array("f")
    dim = number = 0
    with path.open("rb") as file:
        while raw := file.readline(MAX_LINE_BYTES):
            number += 1
            if number == 1 and raw.startswith(_ARCHIVES):
                raise ValueError(f"`{path}` must be text. Received an archive: unpack it first.")
            if len(raw) == MAX_LINE_BYTES:
                raise _line_error(path, number, f"expected at most {MAX_LINE_BYTES:,} bytes")
            try:
                line = raw.decode("utf-8-sig" if number == 1 else "utf-8").rstrip(" \r\n")
            except UnicodeDecodeError as error:
                raise _line_error(path, number, f"expected UTF-8: {error}") from None
            if number == 1 and _HEADER.fullmatch(line):
                continue
            dim = dim or _count_dimensions(path, number, line.split(" "))
            word, *numbers = line.rsplit(" ", dim)
            if len(numbers) < dim or (" " in word and _is_number(word.rpartition(" ")[2])):
                raise _line_error(
                    path,
                    number,
                    f"expected a word and {dim} numbers, separated by spaces. Received "
                    f"{len(line.split(' '))} columns: {line:.60}",
                )
            if wanted is None or word in wanted:
                words.append(word)
                try:
                    values.extend(map(float, numbers))
                except ValueError as error:
                    raise _line_error(path, number, f"expected {dim} numbers: {error}") from None
    if not dim:
        raise ValueError(f"`{path}` must have a word and its numbers on each line. It is empty.")
    return words, np.array(values, "float32").reshape(len(words), dim)


def _count_dimensions(path: Path, number: int, columns: list[str]) -> int:
    # A word may hold spaces or be a number itself.
    last = max((at for at, column in enumerate(columns) if not _is_number(column)), default=0)
    if last == len(columns) - 1:
        raise _line_error(
            path,
            number,
            f"expected a word and its numbers, separated by spaces. Received: {columns[last]:.60}",
        )
    return len(columns) - last - 1


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _line_error(path: Path, number: int, problem: str) -> ValueError:
    return ValueError(f"`{path}`, line {number}: {problem}.")
