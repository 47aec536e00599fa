"""Pretrained vectors of words: GloVe, word2vec, or a NumPy array with its words."""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from keras_qa.text import vector_files
from keras_qa.text.tokenizer import WordTokenizer


class WordVectors:
    """Words, and a vector for each.

    Args:
        words: The words, each once.
        array: `(words, dim)`: the vector of each.

    Attributes:
        words: The words.
        array: `(words, dim)` float32.

    Raises:
        ValueError: If there are not as many vectors as words, a word is there
            twice, or a number is not finite.

    Reference:
        Pennington et al. 2014, "GloVe: Global Vectors for Word Representation",
        D14-1162. Mikolov et al. 2013, arXiv:1301.3781 (word2vec).

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
                "`array` must have the shape (words, dim), a row for each of the "
                f"{len(self.words)} `words`. Received: {self.array.shape}."
            )
        self._rows = {word: row for row, word in enumerate(self.words)}
        if len(self._rows) != len(self.words):
            row, word = next(
                (row, word) for row, word in enumerate(self.words) if self._rows[word] != row
            )
            raise ValueError(
                f"`words` holds {word!r} at {row} and again at {self._rows[word]}. Leave one out."
            )
        odd = np.argwhere(~np.isfinite(self.array))
        if len(odd):
            row, column = odd[0].tolist()
            raise ValueError(
                f"`array` holds {self.array[row, column]} at [{row}, {column}], but vectors are "
                "of finite numbers."
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
            path: Text with a word and its numbers a line, as GloVe gives it,
                or with a first line that says how many there are, as word2vec
                does; word2vec's binary, where the name ends in `.bin`; either
                also compressed by gzip. Or a `.npy` file of the shape
                (words, dim), with `vocabulary`.
            vocabulary: The words of a `.npy` file in the order of its rows: a
                list; a text file with a word a line; or a `.csv`, `.tsv` or
                `.parquet` file, whose first column of strings is taken.
            words: The words that are needed, such as `tokenizer.vocabulary`.
                Of others no vector is kept, which bounds the memory; words
                like them in lower case are kept too. `None` for all.

        Returns:
            The `WordVectors`, in the order of the file.

        Raises:
            FileNotFoundError: If nothing is at `path` or `vocabulary`.
            ValueError: If the file is malformed, which is reported with the
                line, or in a binary file the byte.
            ImportError: If Parquet is read without pyarrow.

        Examples:
            ```python
            vectors = keras_qa.text.WordVectors.load("glove.6B.50d.txt", words=tokenizer.vocabulary)
            ```
        """
        file = _file("path", path)
        wanted = None
        if words is not None:
            if isinstance(words, (str, bytes)):
                raise TypeError(f"`words` must be a list of words. Received: {words!r}.")
            given = set(words)
            wanted = given | {word.lower() for word in given}
        numpy = file.suffix.lower() == ".npy"
        if numpy != (vocabulary is not None):
            advice = "its words are not in it" if numpy else "it holds its words itself"
            raise ValueError(
                f"`vocabulary` {'is needed' if numpy else 'must be left out'} for "
                f"`path={str(path)!r}`: {advice}."
            )
        if not numpy:
            return cls(*vector_files.read(file, wanted))
        if isinstance(vocabulary, (str, os.PathLike)):
            vocabulary = vector_files.read_words(_file("vocabulary", vocabulary))
        return cls(*vector_files.read_array(file, list(vocabulary or ()), wanted))

    @property
    def dim(self) -> int:
        """Number of numbers a vector has."""
        return int(self.array.shape[1])

    def __repr__(self) -> str:
        # A run that is resumed is known by its settings, of which the vectors are one.
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
        """How many words of a tokenizer have a vector.

        Args:
            tokenizer: A `WordTokenizer`.

        Returns:
            Their number, padding and the unknown word left out.
        """
        return int((self._found(tokenizer) >= 0).sum())

    def table(self, tokenizer: WordTokenizer, seed: int = 0) -> npt.NDArray[np.float32]:
        """The vectors of a tokenizer's words, at the rows of their ids.

        A word without a vector takes the one of its lower case. Where there is
        none either, and for the unknown word, the row is drawn from a normal
        distribution with the mean and the deviation that each column of all
        vectors has.

        Args:
            tokenizer: A `WordTokenizer`.
            seed: Seed of the rows that are drawn. What a word gets depends on
                its id alone, not on which others have a vector.

        Returns:
            `(vocabulary_size, dim)` float32, whose row 0, padding, is zeros.

        Raises:
            TypeError: If `tokenizer` is another.
            ValueError: If there are no vectors to draw like.
        """
        rows = self._found(tokenizer)
        if not len(self):
            raise ValueError("There are no vectors. Read them from a file that has these words.")
        drawn = np.random.default_rng(seed).normal(size=(len(rows), self.dim))
        mean, deviation = self.array.mean(axis=0), self.array.std(axis=0)
        table: npt.NDArray[np.float32] = (mean + deviation * drawn).astype("float32")
        known = rows >= 0
        table[known] = self.array[rows[known]]
        table[0] = 0.0
        return table

    def _found(self, tokenizer: WordTokenizer) -> npt.NDArray[np.int64]:
        """The row of each id's word; -1 where there is none."""
        if not isinstance(tokenizer, WordTokenizer):
            raise TypeError(
                f"`tokenizer` must be a `WordTokenizer`. Received a {type(tokenizer).__name__}."
            )
        # Padding and the unknown word are no words.
        rows = [-1, -1]
        for word in tokenizer.vocabulary[2:]:
            row = self._rows.get(word, -1)
            rows.append(row if row >= 0 else self._rows.get(word.lower(), -1))
        return np.array(rows)


def _file(name: str, path: str | os.PathLike[str]) -> Path:
    file = Path(path).expanduser()
    if not file.is_file():
        raise FileNotFoundError(f"`{name}` must be a file. Received: {name}={str(path)!r}.")
    return file
