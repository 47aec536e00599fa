"""Pretrained word vectors from GloVe's text files."""

from __future__ import annotations

import array
import os
import re
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from keras_qa._numbers import is_float
from keras_qa.text.tokenizer import WordTokenizer

# A longer line is not a word with its vector.
MAX_LINE_BYTES = 2**22
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
        ValueError: If the numbers of words and vectors differ, a word occurs twice, or a number is
            not finite.

    Reference:
        Pennington et al. 2014, "GloVe: Global Vectors for Word Representation", D14-1162.

    Examples:
        >>> import numpy as np
        >>> from keras_qa.text import WordTokenizer, WordVectors
        >>> vectors = WordVectors(["mary", "home"], np.array([[1, 2], [3, 4]]))
        >>> tokenizer = WordTokenizer.train(["Mary Mary went home home home."])
        >>> tokenizer.vocabulary
        ['[PAD]', '[UNK]', 'home', 'mary', '.', 'went']
        >>> vectors.table(tokenizer)[[0, 2, 3]].tolist()
        [[0.0, 0.0], [3.0, 4.0], [1.0, 2.0]]
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
    def load(cls, path: str | os.PathLike[str]) -> WordVectors:
        """Reads vectors from a file.

        Args:
            path: UTF-8 text with a word and its numbers on each line, as GloVe writes it. A first
                line with the numbers of words and dimensions is skipped.

        Returns:
            The `WordVectors`, in the order of the file.

        Raises:
            FileNotFoundError: If `path` does not exist.
            ValueError: If the file is malformed.

        Examples:
            ```python
            vectors = keras_qa.text.WordVectors.load("glove.6B.50d.txt")
            ```
        """
        file = Path(path).expanduser()
        if not file.is_file():
            raise FileNotFoundError(f"`path` must be a file. Received: path={str(path)!r}.")
        words, array = _read_text(file)
        try:
            return cls(words, array)
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

    def table(self, tokenizer: WordTokenizer, seed: int = 0) -> npt.NDArray[np.float32]:
        """Builds an embedding table for a tokenizer.

        A word without a vector gets the vector of its lower case form. If that is missing too, and
        for the unknown word, the row is drawn from a normal distribution with the mean and standard
        deviation of each column.

        Args:
            tokenizer: A `WordTokenizer`.
            seed: Seed of the drawn rows. A drawn row depends on `seed` and the word's id alone.

        Returns:
            `(vocabulary_size, dim)` float32. Row 0, padding, is zeros.

        Raises:
            TypeError: If `tokenizer` is not a `WordTokenizer`.
            ValueError: If there are no vectors.
        """
        if not isinstance(tokenizer, WordTokenizer):
            raise TypeError(
                f"`tokenizer` must be a `WordTokenizer`. Received a {type(tokenizer).__name__}."
            )
        if not len(self):
            raise ValueError(
                "`WordVectors` must hold at least one vector. Received none. Load vectors for the "
                "words of this tokenizer."
            )
        # Ids 0 and 1, padding and the unknown word, never have a vector.
        matches = [-1, -1]
        for word in tokenizer.vocabulary[2:]:
            row = self._rows.get(word, -1)
            matches.append(row if row >= 0 else self._rows.get(word.lower(), -1))
        rows = np.array(matches)
        drawn = np.random.default_rng(seed).normal(size=(len(rows), self.dim))
        mean, deviation = self.array.mean(axis=0), self.array.std(axis=0)
        table: npt.NDArray[np.float32] = (mean + deviation * drawn).astype("float32")
        has_vector = rows >= 0
        table[has_vector] = self.array[rows[has_vector]]
        table[0] = 0.0
        return table


def _read_text(path: Path) -> tuple[list[str], npt.NDArray[np.float32]]:
    words: list[str] = []
    values = array.array("f")
    dim = number = 0
    with path.open("rb") as file:
        while raw := file.readline(MAX_LINE_BYTES):
            number += 1
            if len(raw) == MAX_LINE_BYTES:
                raise _line_error(path, number, f"expected at most {MAX_LINE_BYTES:,} bytes")
            try:
                line = raw.decode("utf-8-sig" if number == 1 else "utf-8").rstrip(" \r\n")
            except UnicodeDecodeError as error:
                problem = f"expected UTF-8 text, and no archive: {error}"
                raise _line_error(path, number, problem) from None
            if number == 1 and _HEADER.fullmatch(line):
                continue
            dim = dim or line.count(" ")
            # A word may hold spaces.
            word, *numbers = line.rsplit(" ", dim) if dim else [line]
            has_more_numbers = " " in word and is_float(word.rpartition(" ")[2])
            if not dim or len(numbers) < dim or has_more_numbers:
                expected = f"{dim} numbers" if dim else "its numbers"
                raise _line_error(
                    path,
                    number,
                    f"expected a word and {expected}, separated by spaces. Received "
                    f"{len(line.split(' '))} columns: {line:.60}",
                )
            words.append(word)
            try:
                values.extend(map(float, numbers))
            except ValueError as error:
                raise _line_error(path, number, f"expected {dim} numbers: {error}") from None
    if not dim:
        raise ValueError(f"`{path}` must have a word and its numbers on each line. It is empty.")
    return words, np.array(values, "float32").reshape(len(words), dim)


def _line_error(path: Path, number: int, problem: str) -> ValueError:
    return ValueError(f"`{path}`, line {number}: {problem}.")
