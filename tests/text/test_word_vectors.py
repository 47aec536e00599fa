"""Word vectors: files, tables for a tokenizer, and errors with the file and line."""

import gzip
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

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
    "glove.txt": text(),
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
    np.testing.assert_array_equal(vectors["7"], ARRAY[3])
    assert "new york" in vectors
    assert "york" not in vectors


def test_numpy_with_a_list_or_a_file_of_words(tmp_path) -> None:
    np.save(tmp_path / "vectors.npy", ARRAY.astype("float64"))
    (tmp_path / "words.txt").write_bytes("\r\n".join(WORDS).encode())
    for vocabulary in (tmp_path / "words.txt", WORDS):
        vectors = WordVectors.load(tmp_path / "vectors.npy", vocabulary)
        assert vectors.words == WORDS
        np.testing.assert_array_equal(vectors.array, ARRAY)
        kept = WordVectors.load(tmp_path / "vectors.npy", vocabulary, words=["家", "MARY", "THE"])
        assert kept.words == ["the", "家"]
        np.testing.assert_array_equal(kept.array, ARRAY[[0, 7]])


def test_only_the_given_words_are_kept(tmp_path) -> None:
    (tmp_path / "vectors.txt").write_bytes(text())
    vectors = WordVectors.load(tmp_path / "vectors.txt", words=TOKENIZER.vocabulary)
    assert vectors.words == ["the", ",", "Mary", "7", "naïve"]
    np.testing.assert_array_equal(vectors.array, ARRAY[:5])


def test_the_given_words_bound_the_memory(tmp_path) -> None:
    words = [f"word{number}" for number in range(10_000)]
    path = tmp_path / "vectors.txt"
    path.write_bytes(text(words, np.ones((10_000, 50), "float32")))
    WordVectors.load(path, words=["word7"])
    tracemalloc.start()
    vectors = WordVectors.load(path, words=["word7", "word9999"])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert vectors.words == ["word7", "word9999"]
    # All vectors take 2 MB, their words 1 MB.
    assert peak < 1.2e6


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
    assert vectors.coverage(TOKENIZER) == 5
    np.testing.assert_array_equal(table, vectors.table(TOKENIZER, seed=3))
    assert (table[1] != vectors.table(TOKENIZER, seed=4)[1]).all()


def test_the_lower_case_form_is_the_fallback() -> None:
    tokenizer = WordTokenizer.train(["Mary THE The the"], lowercase=False)
    vectors = WordVectors(["the", "The", "[UNK]"], np.array([[1], [2], [3]]))
    table = vectors.table(tokenizer)[:, 0]
    ids = {word: id for id, word in enumerate(tokenizer.vocabulary)}
    assert [table[ids[word]] for word in ("the", "The", "THE")] == [1, 2, 1]
    assert table[1] not in (1, 2, 3)
    assert vectors.coverage(tokenizer) == 3


@settings(max_examples=60)
@given(st.data())
def test_any_words_and_numbers_survive_a_round_trip(data) -> None:
    import tempfile
    from pathlib import Path

    letters = st.characters(exclude_characters=" \n\r\t", exclude_categories=["Cs"])
    # A word that begins with a letter is never a number or a byte order mark.
    words = data.draw(
        st.lists(st.text(letters).map(lambda word: f"w{word}"), min_size=1, unique=True)
    )
    numbers = st.floats(width=32, allow_nan=False, allow_infinity=False)
    dim = data.draw(st.integers(1, 4))
    rows = data.draw(
        st.lists(
            st.lists(numbers, min_size=dim, max_size=dim),
            min_size=len(words),
            max_size=len(words),
        )
    )
    array = np.array(rows, "float32")
    with tempfile.TemporaryDirectory() as folder:
        for name, content in {
            "a.txt": text(words, array),
            "b.txt": text(words, array, header=True),
        }.items():
            (Path(folder) / name).write_bytes(content)
            vectors = WordVectors.load(Path(folder) / name)
            assert vectors.words == words
            np.testing.assert_array_equal(vectors.array, array)


BAD = {
    "short.txt": (b"a 1 2\nb 3\n", "line 2: expected a word and 2 numbers.*Received 2 columns: b"),
    "long.txt": (b"a 1 2\nb 3 4 5\n", "line 2: expected a word and 2 numbers.*Received 4 columns"),
    "odd.txt": (b"a 1 2\nb 3 x\n", "line 2: expected 2 numbers: could not convert .*'x'"),
    "twice.txt": (b"a 1 2\nb 3 4\na 5 6\n", "`words` holds 'a' more than once"),
    "nan.txt": (
        b"a 1 2\nb nan 4\n",
        "vector of 'b' must hold finite .*Received: nan at position 0",
    ),
    "huge.txt": (b"a 1 1e60\n", "vector of 'a' must hold finite .*Received: inf at position 1"),
    "latin.txt": (b"a 1 2\nna\xefve 3 4\n", "line 2: expected UTF-8"),
    "empty.txt": (b"", "must have a word and its numbers on each line"),
    "header.txt": (b"0 50\n", "must have a word and its numbers on each line"),
    "words.txt": (b"some words\n", "line 1: expected a word and its numbers"),
    "alone.txt": (b"7\n", "line 1: expected a word and its numbers"),
    "line.txt": (b"a" * 2**22, "line 1: expected at most 4,194,304 bytes"),
    "glove.gz": (gzip.compress(text()), "must be text. Received an archive: unpack it"),
    "glove.zip": (b"PK\x03\x04 and so on", "must be text. Received an archive: unpack it"),
}


@pytest.mark.parametrize("name", BAD)
def test_errors_name_the_file_and_the_line(name, tmp_path) -> None:
    content, message = BAD[name]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=message) as caught:
        WordVectors.load(tmp_path / name)
    assert f"`{tmp_path / name}`" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_bad_arrays_and_vocabularies(tmp_path) -> None:
    path = tmp_path / "vectors.npy"
    np.save(path, ARRAY)
    with pytest.raises(ValueError, match="holds vectors without words. Pass them as `vocabulary`"):
        WordVectors.load(path)
    with pytest.raises(ValueError, match=r"one word for each of the 8 rows of .*Received: 7 words"):
        WordVectors.load(path, WORDS[1:])
    np.save(tmp_path / "more.npy", np.ones((9, 2)))
    with pytest.raises(ValueError, match="more.npy`: `words` holds 'the' more than once"):
        WordVectors.load(tmp_path / "more.npy", [*WORDS, "the"])
    with pytest.raises(FileNotFoundError, match=r"`vocabulary` must be a file.*none\.txt"):
        WordVectors.load(path, tmp_path / "none.txt")
    (tmp_path / "latin.txt").write_bytes(b"na\xefve")
    with pytest.raises(ValueError, match="latin.txt` must be UTF-8: .*position 2"):
        WordVectors.load(path, tmp_path / "latin.txt")
    np.save(path, ARRAY[0])
    with pytest.raises(ValueError, match=r"of shape \(words, dim\).*\(3,\)"):
        WordVectors.load(path, WORDS)
    np.save(path, np.where(ARRAY[2, 1] == ARRAY, np.inf, ARRAY))
    with pytest.raises(ValueError, match="vector of 'Mary' must hold finite .*inf at position 1"):
        WordVectors.load(path, WORDS)
    path.write_bytes(b"no array")
    with pytest.raises(ValueError, match="is not a NumPy array"):
        WordVectors.load(path, WORDS)
    (tmp_path / "glove.txt").write_bytes(text())
    with pytest.raises(ValueError, match="holds its own words. Leave out `vocabulary`"):
        WordVectors.load(tmp_path / "glove.txt", WORDS)
    with pytest.raises(FileNotFoundError, match=r"`path` must be a file.*none\.txt"):
        WordVectors.load(tmp_path / "none.txt")
    with pytest.raises(TypeError, match="`words` must be a list of words. Received: 'mary'"):
        WordVectors.load(tmp_path / "glove.txt", words="mary")


def test_bad_arguments(small_subwords) -> None:
    with pytest.raises(ValueError, match=r"one row for each of the 8 `words`. Received: \(7, 3\)"):
        WordVectors(WORDS, ARRAY[1:])
    with pytest.raises(ValueError, match="`words` holds 'a' more than once"):
        WordVectors(["a", "b", "a"], ARRAY[:3])
    with pytest.raises(ValueError, match="vector of 'b' must hold finite .*Received: nan"):
        WordVectors(["a", "b"], np.array([[1], [np.nan]]))
    with pytest.raises(TypeError, match="must be a `WordTokenizer`. Received a SubwordTokenizer"):
        WordVectors(WORDS, ARRAY).table(small_subwords)
    with pytest.raises(ValueError, match="must hold at least one vector"):
        WordVectors([], np.zeros((0, 3))).table(TOKENIZER)


@pytest.fixture
def small_subwords() -> SubwordTokenizer:
    from small_tokenizers import wordpiece

    return SubwordTokenizer(wordpiece())
