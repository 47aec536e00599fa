"""Word vectors: every format gives the same table, and a bad file is named with its line."""

import gzip
import tracemalloc

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_qa.text import SubwordTokenizer, WordTokenizer, WordVectors

WORDS = ["the", ",", "Mary", "7", "naïve", "new york", '"', "家"]
# A word of word2vec's has no spaces.
UNSPACED = [word.replace(" ", "_") for word in WORDS]
ARRAY = np.random.default_rng(0).normal(size=(8, 3)).astype("float32")
TOKENIZER = WordTokenizer.train(["Mary, mary bought the 7 naïve bathtubs"], lowercase=False)


def text(words=WORDS, array=ARRAY, header: bool = False, end: str = "\n") -> bytes:
    lines = [f"{len(words)} {array.shape[1]}"] if header else []
    lines += [
        " ".join([word, *(repr(float(value)) for value in row)])
        for word, row in zip(words, array, strict=True)
    ]
    return "".join(line + end for line in lines).encode()


def binary(words=UNSPACED, array=ARRAY, between: bytes = b"\n") -> bytes:
    rows = [
        word.encode() + b" " + row.astype("<f4").tobytes() + between
        for word, row in zip(words, array, strict=True)
    ]
    return f"{len(words)} {array.shape[1]}\n".encode() + b"".join(rows)


FORMATS = {
    "glove.txt": text(),
    "windows.txt": text(end="\r\n"),
    "trailing.txt": text(header=True, end=" \n"),
    "marked.txt": b"\xef\xbb\xbf" + text(header=True),
    "vectors.txt.gz": gzip.compress(text()),
    "zipped": gzip.compress(text(header=True)),
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


@pytest.mark.parametrize("between", [b"\n", b""])
@pytest.mark.parametrize("name", ["vectors.bin", "VECTORS.BIN.gz"])
def test_binary_is_read_as_written(name, between, tmp_path) -> None:
    content = binary(between=between)
    (tmp_path / name).write_bytes(gzip.compress(content) if "gz" in name else content)
    vectors = WordVectors.load(tmp_path / name)
    assert vectors.words == UNSPACED
    np.testing.assert_array_equal(vectors.array, ARRAY)


def test_binary_is_read_across_blocks(tmp_path, monkeypatch) -> None:
    from keras_qa.text import vector_files

    (tmp_path / "vectors.bin").write_bytes(binary())
    for size in range(1, 20):
        monkeypatch.setattr(vector_files, "_BLOCK", size)
        vectors = WordVectors.load(tmp_path / "vectors.bin")
        assert vectors.words == UNSPACED
        np.testing.assert_array_equal(vectors.array, ARRAY)


def test_numpy_with_each_kind_of_vocabulary(tmp_path) -> None:
    np.save(tmp_path / "vectors.npy", ARRAY.astype("float64"))
    frame = pd.DataFrame({"row": range(8), "index": WORDS})
    frame.to_parquet(tmp_path / "words.parquet")
    frame.to_csv(tmp_path / "words.csv", index=False)
    frame[["index"]].to_csv(tmp_path / "words.tsv", index=False, sep="\t")
    (tmp_path / "words.txt").write_bytes("\r\n".join(WORDS).encode())
    files = [tmp_path / f"words.{end}" for end in ("parquet", "csv", "tsv", "txt")]
    for vocabulary in [*files, WORDS]:
        vectors = WordVectors.load(tmp_path / "vectors.npy", vocabulary)
        assert vectors.words == WORDS
        np.testing.assert_array_equal(vectors.array, ARRAY)
        kept = WordVectors.load(tmp_path / "vectors.npy", vocabulary, words=["家", "MARY", "THE"])
        assert kept.words == ["the", "家"]
        np.testing.assert_array_equal(kept.array, ARRAY[[0, 7]])


@pytest.mark.parametrize("name", ["vectors.txt", "vectors.bin"])
def test_needed_words_alone_are_kept(name, tmp_path) -> None:
    (tmp_path / name).write_bytes(binary() if "bin" in name else text())
    vectors = WordVectors.load(tmp_path / name, words=TOKENIZER.vocabulary)
    assert vectors.words == ["the", ",", "Mary", "7", "naïve"]
    np.testing.assert_array_equal(vectors.array, ARRAY[:5])


@pytest.mark.parametrize("name", ["vectors.txt", "vectors.bin"])
def test_needed_words_bound_the_memory(name, tmp_path) -> None:
    words = [f"word{number}" for number in range(10_000)]
    array = np.ones((10_000, 50), "float32")
    (tmp_path / name).write_bytes(binary(words, array) if "bin" in name else text(words, array))
    WordVectors.load(tmp_path / name, words=["word7"])
    tracemalloc.start()
    vectors = WordVectors.load(tmp_path / name, words=["word7", "word9999"])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert vectors.words == ["word7", "word9999"]
    # All vectors have 2 MB, and their words another one.
    assert peak < 1.2e6


def test_table_stands_at_the_ids() -> None:
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


def test_lower_case_is_looked_up_where_the_word_is_not() -> None:
    tokenizer = WordTokenizer.train(["Mary THE The the"], lowercase=False)
    vectors = WordVectors(["the", "The", "[UNK]"], np.array([[1], [2], [3]]))
    table = vectors.table(tokenizer)[:, 0]
    ids = {word: id for id, word in enumerate(tokenizer.vocabulary)}
    assert [table[ids[word]] for word in ("the", "The", "THE")] == [1, 2, 1]
    assert table[1] not in (1, 2, 3)
    assert vectors.coverage(tokenizer) == 3


def test_drawn_rows_are_spread_as_the_vectors() -> None:
    array = np.random.default_rng(1).normal([2, -1], [0.5, 0.1], (4_000, 2))
    vectors = WordVectors([f"known{number}" for number in range(4_000)], array)
    tokenizer = WordTokenizer.train([" ".join(f"word{number}" for number in range(4_000))])
    table = vectors.table(tokenizer)[1:]
    np.testing.assert_allclose(table.mean(axis=0), [2, -1], atol=0.05)
    np.testing.assert_allclose(table.std(axis=0), [0.5, 0.1], rtol=0.05)


@settings(max_examples=60)
@given(st.data())
def test_any_words_and_numbers_come_back(data) -> None:
    import tempfile
    from pathlib import Path

    letters = st.characters(exclude_characters=" \n\r\t", exclude_categories=["Cs"])
    # What begins with a letter is no number. A mark of byte order may not begin a file.
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
            "c.bin": binary(words, array),
        }.items():
            (Path(folder) / name).write_bytes(content)
            vectors = WordVectors.load(Path(folder) / name)
            assert vectors.words == words
            np.testing.assert_array_equal(vectors.array, array)


BAD = {
    "short.txt": (b"a 1 2\nb 3\n", "line 2: expected a word and 2 numbers.*Received 2 columns: 'b"),
    "long.txt": (b"a 1 2\nb 3 4 5\n", "line 2: expected a word and 2 numbers.*Received 4 columns"),
    "odd.txt": (b"a 1 2\nb 3 x\n", "line 2: column 3 is not a number: 'x'"),
    "twice.txt": (b"a 1 2\nb 3 4\na 5 6\n", "line 3: the word 'a' was there before, at line 1"),
    "nan.txt": (b"a 1 2\nb nan 4\n", "line 2: the vector of 'b' holds a number that is not finite"),
    "huge.txt": (b"a 1 1e60\n", "line 1: the vector of 'a' holds a number that is not finite"),
    "cut.txt": (b"3 1\na 1\nb 2\n", "line 3: the file ends after 2 of 3 words"),
    "more.txt": (b"1 1\na 1\nb 2\n", "line 3: the file ends after 2 of 1 words"),
    "latin.txt": (b"a 1 2\nna\xefve 3 4\n", "line 2: the word b'na.xefve' is not UTF-8"),
    "empty.txt": (b"", "is empty"),
    "words.txt": (b"some words\n", "line 1: expected a word and its numbers"),
    "alone.txt": (b"7\n", "line 1: expected a word and its numbers"),
    "none.txt": (b"2 0\n", "line 1: vectors of 0 numbers"),
    "wide.txt": (b"2 999999999\n", "line 1: vectors of 999,999,999 numbers"),
    "cut.gz": (gzip.compress(text())[:-12], "is damaged or cut off"),
    "broken.gz": (b"\x1f\x8b" + bytes(30), "is damaged or cut off"),
    "glove.zip": (b"PK\x03\x04 and so on", "is a ZIP archive. Unpack it"),
    "head.bin": (b"a 1 2\n", "byte 0: expected the number of words and of dimensions"),
    "cut.bin": (binary()[:-5], f"byte {len(binary()) - 5}: the file ends in word 8 of 8"),
    "rest.bin": (binary() + b"x", f"byte {len(binary()) - 1}: there is more than the 8 words"),
    "twice.bin": (binary(["a", "b", "a"], ARRAY[:3]), "byte 34: the word 'a' was there before"),
    "nan.bin": (binary(["a", "b"], ARRAY[:2] * [[1], [np.nan]]), "byte 19: the vector of 'b'"),
    "shift.bin": (b"2 1\n" + b"a" * 20_000, "byte 4: no word begins here"),
    "empty.bin": (b"2 1\n 12345", "byte 4: an empty word"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_file_is_named_with_the_place(name, tmp_path) -> None:
    content, message = BAD[name]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=message) as caught:
        WordVectors.load(tmp_path / name)
    assert f"`{tmp_path / name}`" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_bad_arrays_and_vocabularies(tmp_path) -> None:
    path = tmp_path / "vectors.npy"
    np.save(path, ARRAY)
    with pytest.raises(ValueError, match="`vocabulary` is needed"):
        WordVectors.load(path)
    with pytest.raises(ValueError, match="has 7 words, but .*vectors.npy` has 8 rows"):
        WordVectors.load(path, WORDS[1:])
    np.save(tmp_path / "more.npy", np.ones((9, 2)))
    with pytest.raises(ValueError, match="the word 'the' at 0 and again at 8"):
        WordVectors.load(tmp_path / "more.npy", [*WORDS, "the"])
    with pytest.raises(FileNotFoundError, match=r"`vocabulary` must be a file.*none\.txt"):
        WordVectors.load(path, tmp_path / "none.txt")
    (tmp_path / "latin.txt").write_bytes(b"na\xefve")
    with pytest.raises(ValueError, match="latin.txt` is not UTF-8 at byte 2"):
        WordVectors.load(path, tmp_path / "latin.txt")
    (tmp_path / "numbers.csv").write_text("index\n1\n2\n")
    with pytest.raises(ValueError, match="numbers.csv` has no column of words"):
        WordVectors.load(path, tmp_path / "numbers.csv")
    (tmp_path / "no.parquet").write_text("no")
    with pytest.raises(ValueError, match="no.parquet` must be a Parquet file"):
        WordVectors.load(path, tmp_path / "no.parquet")
    np.save(path, ARRAY[0])
    with pytest.raises(ValueError, match=r"of the shape \(words, dim\).*\(3,\)"):
        WordVectors.load(path, WORDS)
    np.save(path, np.where(ARRAY[2, 1] == ARRAY, np.inf, ARRAY))
    with pytest.raises(ValueError, match=r"holds inf at \[2, 1\]"):
        WordVectors.load(path, WORDS)
    path.write_bytes(b"no array")
    with pytest.raises(ValueError, match="is not a NumPy array"):
        WordVectors.load(path, WORDS)
    (tmp_path / "glove.txt").write_bytes(text())
    with pytest.raises(ValueError, match="`vocabulary` must be left out"):
        WordVectors.load(tmp_path / "glove.txt", WORDS)
    with pytest.raises(FileNotFoundError, match=r"`path` must be a file.*none\.txt"):
        WordVectors.load(tmp_path / "none.txt")
    with pytest.raises(TypeError, match="`words` must be a list of words. Received: 'mary'"):
        WordVectors.load(tmp_path / "glove.txt", words="mary")


def test_bad_arguments(small_subwords) -> None:
    with pytest.raises(ValueError, match=r"a row for each of the 8 `words`. Received: \(7, 3\)"):
        WordVectors(WORDS, ARRAY[1:])
    with pytest.raises(ValueError, match="`words` holds 'a' at 0 and again at 2"):
        WordVectors(["a", "b", "a"], ARRAY[:3])
    with pytest.raises(ValueError, match=r"`array` holds nan at \[1, 0\]"):
        WordVectors(["a", "b"], np.array([[1], [np.nan]]))
    with pytest.raises(TypeError, match="must be a `WordTokenizer`. Received a SubwordTokenizer"):
        WordVectors(WORDS, ARRAY).table(small_subwords)
    with pytest.raises(ValueError, match="There are no vectors"):
        WordVectors([], np.zeros((0, 3))).table(TOKENIZER)


@pytest.fixture
def small_subwords() -> SubwordTokenizer:
    from small_tokenizers import wordpiece

    return SubwordTokenizer(wordpiece())
