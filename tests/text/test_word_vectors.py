"""Word vectors: files, tables for a tokenizer, and errors with the file and line."""

import gzip
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_tokenizers import wordpiece

from keras_qa.text import SubwordTokenizer, WordTokenizer, WordVectors

WORDS = ["the", ",", "Mary", "7", "naïve", "new york", '"', "家"]
ARRAY = np.random.default_rng(0).normal(size=(8, 3)).astype("float32")
TOKENIZER = WordTokenizer.train(["Mary, mary bought the 7 naïve bathtubs"], lowercase=False)


def text(words=WORDS, array=ARRAY, header: bool = False, end: str = "\n") -> bytes:
    lines = [f"{len(words)} {array.shape[1]}"] if header else []
    lines += [
        " ".join([word, *(repr(float(value)) for value in row)])
        for word, row in zip(words, array, strict=True)
    ]
    return "".join(line + end for line in lines).encode()


FORMATS = {
    "windows.txt": text(end="\r\n"),
    "trailing.txt": text(header=True, end=" \n"),
    "marked.txt": b"\xef\xbb\xbf" + text(header=True),
}


@pytest.mark.parametrize("name", FORMATS)
def test_text_is_read_as_written(name, tmp_path) -> None:
    (tmp_path / name).write_bytes(FORMATS[name])
    vectors = WordVectors.load(tmp_path / name)
    assert vectors.words == WORDS
    assert vectors.array.dtype == np.float32
    np.testing.assert_array_equal(vectors.array, ARRAY)
    assert (len(vectors), vectors.dim) == (8, 3)


def test_table_rows_are_word_ids() -> None:
    vectors = WordVectors(WORDS, ARRAY)
    table = vectors.table(TOKENIZER, seed=3)
    assert table.shape == (TOKENIZER.vocabulary_size, 3)
    assert table.dtype == np.float32
    rows = {"Mary": 2, ",": 1, "the": 0, "7": 3, "naïve": 4}
    drawn = np.random.default_rng(3).normal(size=table.shape)
    for id, word in enumerate(TOKENIZER.vocabulary):
        if id == 0:
            expected = np.zeros(3)
        elif word in rows:
            expected = ARRAY[rows[word]]
        else:
            expected = ARRAY.mean(axis=0) + ARRAY.std(axis=0) * drawn[id]
        np.testing.assert_allclose(table[id], expected, rtol=1e-6, atol=1e-6)
    np.testing.assert_array_equal(table, vectors.table(TOKENIZER, seed=3))
    assert (table[1] != vectors.table(TOKENIZER, seed=4)[1]).all()


def test_the_lower_case_form_is_the_fallback() -> None:
    tokenizer = WordTokenizer.train(["Mary THE The the"], lowercase=False)
    vectors = WordVectors(["the", "The", "[UNK]"], np.array([[1], [2], [3]]))
    table = vectors.table(tokenizer)[:, 0]
    ids = {word: id for id, word in enumerate(tokenizer.vocabulary)}
    assert [table[ids[word]] for word in ("the", "The", "THE")] == [1, 2, 1]
    assert table[1] not in (1, 2, 3)


@given(st.data())
def test_any_words_and_numbers_survive_a_round_trip(data) -> None:
    letters = st.characters(exclude_characters=" \n\r\t", exclude_categories=["Cs"])
    # A word that begins with a letter is never a number or a byte order mark.
    words = data.draw(
        st.lists(st.text(letters).map(lambda word: f"w{word}"), min_size=1, unique=True)
    )
    numbers = st.floats(width=32, allow_nan=False, allow_infinity=False)
    dim = data.draw(st.integers(1, 4))
    count = len(words) * dim
    values = data.draw(st.lists(numbers, min_size=count, max_size=count))
    array = np.array(values, "float32").reshape(len(words), dim)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.txt"
        for header in (False, True):
            path.write_bytes(text(words, array, header))
            vectors = WordVectors.load(path)
            assert vectors.words == words
            np.testing.assert_array_equal(vectors.array, array)


BAD = {
    "short.txt": (b"a 1 2\nb 3\n", "line 2: expected a word and 2 numbers.*Received 2 columns: b"),
    "long.txt": (b"a 1 2\nb 3 4 5\n", "line 2: expected a word and 2 numbers.*Received 4 columns"),
    "odd.txt": (b"a 1 2\nb 3 x\n", "line 2: expected 2 numbers: could not convert .*'x'"),
    "twice.txt": (b"a 1 2\nb 3 4\na 5 6\n", "`words` holds 'a' more than once"),
    "nan.txt": (b"a 1 2\nb nan 4\n", "vector of 'b' must hold finite .*: nan at position 0"),
    "huge.txt": (b"a 1 1e60\n", "vector of 'a' must hold finite .*Received: inf at position 1"),
    "latin.txt": (b"a 1 2\nna\xefve 3 4\n", "line 2: expected UTF-8"),
    "empty.txt": (b"", "must have a word and its numbers on each line"),
    "header.txt": (b"0 50\n", "must have a word and its numbers on each line"),
    "words.txt": (b"some words\n", "line 1: expected 1 numbers: could not convert .*'words'"),
    "alone.txt": (b"7\n", "line 1: expected a word and its numbers"),
    "line.txt": (b"a" * 2**22, "line 1: expected at most 4,194,304 bytes"),
    "glove.gz": (gzip.compress(text()), "line 1: expected UTF-8 text, and no archive"),
    "glove.zip": (b"PK\x03\x04\xef and so on", "line 1: expected UTF-8 text, and no archive"),
}


@pytest.mark.parametrize("name", BAD)
def test_errors_name_the_file_and_the_line(name, tmp_path) -> None:
    content, message = BAD[name]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=message) as caught:
        WordVectors.load(tmp_path / name)
    assert f"`{tmp_path / name}`" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_bad_arguments(tmp_path) -> None:
    with pytest.raises(FileNotFoundError, match=r"`path` must be a file.*none\.txt"):
        WordVectors.load(tmp_path / "none.txt")
    with pytest.raises(ValueError, match=r"one row for each of the 8 `words`. Received: \(7, 3\)"):
        WordVectors(WORDS, ARRAY[1:])
    with pytest.raises(TypeError, match="must be a `WordTokenizer`. Received a SubwordTokenizer"):
        WordVectors(WORDS, ARRAY).table(SubwordTokenizer(wordpiece()))
    with pytest.raises(ValueError, match="must hold at least one vector"):
        WordVectors([], np.zeros((0, 3))).table(TOKENIZER)
