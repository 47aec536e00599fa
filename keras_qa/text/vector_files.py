"""Files of word vectors, a word at a time: GloVe's text, word2vec's text and binary, NumPy's."""

from __future__ import annotations

import array
import csv
import gzip
import re
import zlib
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import IO, Any, cast

import numpy as np
import numpy.typing as npt

from keras_qa.files.table_files import parquet_file

# A word of more bytes, or a vector of more numbers, is a file read wrongly.
MOST_BYTES = 10_000
MOST_NUMBERS = 100_000
_BLOCK = 2**18

_HEADER = re.compile(rb"(\d+)[ \t](\d+)\s*")
_GZIP, _ZIP = b"\x1f\x8b", b"PK\x03\x04"


def read(path: Path, wanted: Collection[str] | None) -> tuple[list[str], npt.NDArray[np.float32]]:
    """The words of a file in text or binary, and their vectors.

    Args:
        path: The file. It is binary where its name ends in `.bin` or
            `.bin.gz`.
        wanted: The words to keep. `None` for all.

    Returns:
        The words, and `(words, dim)` float32.
    """
    with path.open("rb") as file:
        magic = file.read(4)
    if magic == _ZIP:
        raise ValueError(f"`{path}` is a ZIP archive. Unpack it, and give a file that was in it.")
    zipped = magic[:2] == _GZIP
    name = path.name.lower().removesuffix(".gz")
    found = _Found(path, wanted, "byte" if name.endswith(".bin") else "line")
    try:
        with gzip.open(path, "rb") if zipped else path.open("rb") as opened:
            source = cast(IO[bytes], opened)
            (_read_binary if found.unit == "byte" else _read_text)(source, found)
    except (gzip.BadGzipFile, zlib.error, EOFError) as error:
        raise ValueError(f"`{path}` is damaged or cut off: {error}. Get it again.") from None
    return found.words, found.table()


def read_array(
    path: Path, words: Sequence[str], wanted: Collection[str] | None
) -> tuple[list[str], npt.NDArray[np.float32]]:
    """As `read`, for a NumPy file with a row a word.

    Args:
        path: The file.
        words: The word of each row.
        wanted: As in `read`.

    Returns:
        As `read`.
    """
    try:
        rows = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError, OSError) as error:
        raise ValueError(f"`{path}` is not a NumPy array: {error}") from None
    if rows.ndim != 2 or rows.dtype.kind != "f" or not rows.shape[1]:
        raise ValueError(
            f"`{path}` must hold floating-point numbers of the shape (words, dim). Received: "
            f"{rows.dtype} of the shape {rows.shape}."
        )
    if len(rows) != len(words):
        raise ValueError(
            f"`vocabulary` has {len(words):,} words, but `{path}` has {len(rows):,} rows: expected "
            "one word a row, in the order of the rows."
        )
    places: dict[str, int] = {}
    for row, word in enumerate(words):
        if wanted is not None and word not in wanted:
            continue
        before = places.setdefault(word, row)
        if before != row:
            raise ValueError(
                f"`vocabulary` has the word {word!r} at {before} and again at {row}. Leave one out."
            )
    kept = np.fromiter(places.values(), "int64", len(places))
    table = np.array(rows if wanted is None else rows[kept], "float32")
    odd = np.argwhere(~np.isfinite(table))
    if len(odd):
        row, column = odd[0].tolist()
        raise ValueError(f"`{path}` holds {table[row, column]} at [{kept[row]}, {column}].")
    return list(places), table


def read_words(path: Path) -> list[str]:
    """The words of a vocabulary file, in order.

    Args:
        path: Text with a word a line; or a `.csv`, `.tsv` or `.parquet` file,
            whose first column of other things than numbers it is.

    Returns:
        The words.
    """
    suffix = path.suffix.lower()
    if suffix == ".parquet":
        return _parquet_words(path)
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            if suffix not in (".csv", ".tsv"):
                lines = file.read().split("\n")
                if not lines[-1]:
                    lines.pop()
                return [line.removesuffix("\r") for line in lines]
            # Words are quoted by nobody but the csv module: a lone quotation mark is one of them.
            reader = csv.reader(file, delimiter="\t" if suffix == ".tsv" else ",")
            rows = [row for row in reader if row][1:]
    except UnicodeDecodeError as error:
        raise ValueError(f"`{path}` is not UTF-8 at byte {error.start}: {error.reason}.") from None
    except csv.Error as error:
        raise ValueError(f"`{path}`, line {reader.line_num}: {error}.") from None
    width = min(map(len, rows), default=0)
    for column in range(width):
        if not all(row[column].isdecimal() for row in rows):
            return [row[column] for row in rows]
    raise ValueError(f"`{path}` has no column of words. Expected a header and a word a line.")


def _parquet_words(path: Path) -> list[str]:
    with parquet_file(path) as file:
        import pyarrow

        schema = file.schema_arrow
        kinds = (pyarrow.types.is_string, pyarrow.types.is_large_string)
        names = [field.name for field in schema if any(kind(field.type) for kind in kinds)]
        if not names:
            raise ValueError(f"`{path}` has no column of words: {', '.join(schema.names)}.")
        words: list[Any] = file.read(columns=names[:1])[names[0]].to_pylist()
    if None in words:
        raise ValueError(f"`{path}`, row {words.index(None)} has no word in `{names[0]}`.")
    return words


class _Found:
    """The words kept so far, and where the file has them."""

    def __init__(self, path: Path, wanted: Collection[str] | None, unit: str) -> None:
        self.path = path
        self.unit = unit
        self.wanted = (
            None if wanted is None else {word.encode(errors="surrogatepass") for word in wanted}
        )
        self.words: list[str] = []
        self.places: dict[str, int] = {}
        self.values = array.array("f")
        self.dim = 0

    def keeps(self, raw: bytes) -> bool:
        return self.wanted is None or raw in self.wanted

    def add(self, raw: bytes, place: int, values: bytes | list[float]) -> None:
        try:
            word = raw.decode()
        except UnicodeDecodeError as error:
            raise self.error(
                place,
                f"the word {raw!r} is not UTF-8: {error.reason}. Save the file as UTF-8, or, if "
                "it is binary, let its name end in .bin",
            ) from None
        before = self.places.setdefault(word, place)
        if before != place:
            raise self.error(
                place, f"the word {word!r} was there before, at {self.unit} {before}. Leave one out"
            )
        self.words.append(word)
        if isinstance(values, bytes):
            self.values.frombytes(values)
        else:
            self.values.extend(values)

    def error(self, place: int, problem: str) -> ValueError:
        return ValueError(f"`{self.path}`, {self.unit} {place}: {problem}.")

    def table(self) -> npt.NDArray[np.float32]:
        table = np.array(self.values, "float32").reshape(len(self.words), self.dim)
        odd = np.flatnonzero(~np.isfinite(table).all(axis=1))
        if len(odd):
            word = self.words[odd[0]]
            raise self.error(
                self.places[word], f"the vector of {word!r} holds a number that is not finite"
            )
        return table


def _read_text(file: IO[bytes], found: _Found) -> None:
    count = None
    line = 0
    for line, raw in enumerate(_lines(file, found), start=1):
        text = raw.rstrip(b" \r\n")
        if line == 1:
            text = text.removeprefix(b"\xef\xbb\xbf")
            header = _HEADER.fullmatch(text)
            if header:
                count, found.dim = _sizes(header, found, line)
                continue
        if not found.dim:
            found.dim = _width(text, found)
        parts = text.rsplit(b" ", found.dim)
        if len(parts) <= found.dim or _is_number(parts[0].rpartition(b" ")[2], parts[0]):
            raise found.error(
                line,
                f"expected a word and {found.dim} numbers, with a space between. Received "
                f"{len(text.split(b' '))} columns: {_shown(text)}",
            )
        if found.keeps(parts[0]):
            found.add(parts[0], line, _numbers(parts[1:], found, line))
    if not line or not found.dim:
        raise ValueError(f"`{found.path}` is empty: expected a word and its numbers a line.")
    if count is not None and count != line - 1:
        raise found.error(
            line, f"the file ends after {line - 1:,} of {count:,} words. Get it again"
        )


def _lines(file: IO[bytes], found: _Found) -> Iterator[bytes]:
    most = MOST_BYTES + 32 * MOST_NUMBERS
    line = 0
    while raw := file.readline(most):
        line += 1
        if len(raw) == most:
            raise found.error(line, f"the line has more than {most:,} bytes. Is it text?")
        yield raw


def _sizes(header: re.Match[bytes], found: _Found, place: int) -> tuple[int, int]:
    count, dim = int(header[1]), int(header[2])
    if not 0 < dim <= MOST_NUMBERS:
        raise found.error(place, f"vectors of {dim:,} numbers are not supported")
    return count, dim


def _width(text: bytes, found: _Found) -> int:
    """Number of numbers at the end of the first line."""
    parts = text.split(b" ")
    # A word may be a number, or hold spaces before the numbers.
    words = max((at for at, part in enumerate(parts) if not _is_number(part)), default=0)
    width = len(parts) - max(words, 0) - 1
    if not 0 < width <= MOST_NUMBERS:
        raise found.error(
            1, f"expected a word and its numbers, with spaces between. Received: {_shown(text)}"
        )
    return width


def _is_number(part: bytes, whole: bytes = b"") -> bool:
    # A word alone may be a number: it is the vector's only behind another word.
    if part == whole:
        return False
    try:
        float(part)
    except ValueError:
        return False
    return True


def _numbers(parts: list[bytes], found: _Found, line: int) -> list[float]:
    try:
        return list(map(float, parts))
    except ValueError:
        column = next(at for at, part in enumerate(parts) if not _is_number(part))
        raise found.error(
            line, f"column {column + 2} is not a number: {_shown(parts[column])}"
        ) from None


def _shown(text: bytes) -> str:
    shown = repr(text[:60].decode(errors="replace"))
    return f"{shown}…" if len(text) > 60 else shown


def _read_binary(file: IO[bytes], found: _Found) -> None:
    first = file.readline(64)
    header = _HEADER.fullmatch(first)
    if header is None:
        raise found.error(
            0, f"expected the number of words and of dimensions. Received: {_shown(first)}"
        )
    count, found.dim = _sizes(header, found, 0)
    size = 4 * found.dim
    # Where the block begins in the file, and how much of it was read.
    block, begin, at = b"", len(first), 0
    for number in range(count):
        # The tools differ in whether a line break follows a vector.
        space = block.find(b" ", at)
        while space < 0 or space + 1 + size > len(block):
            if space < 0 and len(block) - at > MOST_BYTES:
                raise found.error(begin + at, "no word begins here. Is the file in this format?")
            more = file.read(max(_BLOCK, size))
            if not more:
                raise found.error(
                    begin + len(block),
                    f"the file ends in word {number + 1:,} of {count:,}. Get it again",
                )
            begin, block, at = begin + at, block[at:] + more, 0
            space = block.find(b" ", at)
        raw = block[at:space].lstrip(b"\n")
        if not raw:
            raise found.error(begin + at, "an empty word. Is the file in this format?")
        if found.keeps(raw):
            found.add(raw, begin + space - len(raw), block[space + 1 : space + 1 + size])
        at = space + 1 + size
    rest = block[at:] + file.read(2)
    if rest.strip(b"\n"):
        raise found.error(begin + at, f"there is more than the {count:,} words of the first line")
