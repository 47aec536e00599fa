"""The rows of CSV, TSV, JSON Lines and Parquet files."""

from __future__ import annotations

import codecs
import collections
import contextlib
import csv
import itertools
import json
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from keras_qa._arguments import first_line, import_extra, quote_names

# `csv.field_size_limit` is a setting of the process, not of a reader.
_CSV_LIMIT_LOCK = threading.Lock()
_CSV_LIMIT = 2**31 - 1
_PARQUET_BLOCK = 256

# The place of a row for error messages, and its values by column.
Row = tuple[str, dict[str, Any]]

# The argument `opener` of `open`.
Opener = Callable[[str, int], int]

# The column or columns of each field of an example.
Columns = Mapping[str, str | Sequence[str]]


class Block(NamedTuple):
    """Rows of a JSON Lines or Parquet file that follow each other, by default all.

    `begin` is the offset in bytes of the first line, or the number of the first row. `line` is the
    number of the first line, from 1.
    """

    begin: int = 0
    line: int = 1
    rows: int | None = None


ALL = Block()


def csv_rows(
    path: Path,
    delimiter: str,
    columns: Columns,
    encoding: str = "utf-8-sig",
    opener: Opener | None = None,
) -> Iterator[Row]:
    """Reads the rows of a CSV or TSV file. Cells of nested columns, such as `a.b`, are JSON."""
    # `utf-8-sig`: Excel starts its UTF-8 files with a byte order mark.
    rows = _read_csv(path, delimiter, columns, encoding, opener)
    while True:
        # Restore the limit after each row: the caller's code runs then.
        with _CSV_LIMIT_LOCK:
            before = csv.field_size_limit(_CSV_LIMIT)
            try:
                row = next(rows, None)
            finally:
                csv.field_size_limit(before)
        if row is None:
            return
        yield row


def _read_csv(
    path: Path, delimiter: str, columns: Columns, encoding: str, opener: Opener | None
) -> Iterator[Row]:
    with open(path, encoding=encoding, newline="", opener=opener) as file:
        reader = csv.reader(file, delimiter=delimiter, strict=True)
        try:
            header = next(reader, None)
            if header is None:
                raise ValueError(
                    f"`{path}` is empty: expected a line with the names of its columns."
                )
            twice = [name for name, count in collections.Counter(header).items() if count > 1]
            if twice:
                raise ValueError(f"`{path}` has two columns {quote_names(twice)}. Rename one.")
            check_columns(f"`{path}`", columns, header)
            nested = {column.split(".")[0] for _, column in _pairs(columns) if column not in header}
            for cells in reader:
                location = f"`{path}`, line {reader.line_num}"
                if not cells:
                    continue
                if len(cells) != len(header):
                    raise ValueError(
                        f"{location}: expected {len(header)} cells, as many as columns. Received "
                        f"{len(cells)}. Quote cells that contain the delimiter."
                    )
                row: dict[str, Any] = dict(zip(header, cells, strict=True))
                for name, column in _pairs(columns):
                    if name not in ("text", "question") and row.get(column) == "":
                        row[column] = None
                for column in nested:
                    row[column] = _json_cell(location, column, row[column])
                yield location, row
        except csv.Error as error:
            raise ValueError(f"`{path}`, line {reader.line_num}: {error}.") from None
        except UnicodeDecodeError as error:
            raise ValueError(f"`{path}` must be UTF-8: {error}. Save it as UTF-8.") from None


def _json_cell(location: str, column: str, cell: str) -> Any:
    try:
        return json.loads(cell) if cell else None
    except (json.JSONDecodeError, RecursionError) as error:
        raise ValueError(
            f"{location}: expected JSON in the cell {quote_names([column])}: {error}. Received: "
            f"{cell[:80]!r}."
        ) from None


def split(path: Path, size: int) -> Iterator[Block]:
    """Yields the blocks of `size` rows of a JSON Lines or Parquet file."""
    if path.suffix.lower() == ".parquet":
        with _open_parquet(path) as file:
            count = file.metadata.num_rows
        for begin in range(0, count, size):
            yield Block(begin, rows=min(size, count - begin))
        return
    begin, first, count, end = 0, 1, 0, 0
    with path.open("rb") as file:
        for line, raw in enumerate(file, start=1):
            if count == size:
                yield Block(begin, first, count)
                begin, first, count = end, line, 0
            end += len(raw)
            count += bool(raw.removeprefix(codecs.BOM_UTF8).strip())
    if count:
        yield Block(begin, first, count)


def jsonl_rows(path: Path, block: Block = ALL, opener: Opener | None = None) -> Iterator[Row]:
    """Reads the rows of a JSON Lines file."""
    return itertools.islice(_read_jsonl(path, block, opener), block.rows)


def _read_jsonl(path: Path, block: Block, opener: Opener | None) -> Iterator[Row]:
    # Read bytes: lines end at "\n" only, and strings may contain other Unicode line breaks.
    with open(path, "rb", opener=opener) as file:
        file.seek(block.begin)
        for at, raw in enumerate(file, start=block.line):
            location = f"`{path}`, line {at}"
            try:
                line = raw.decode("utf-8-sig" if at == 1 else "utf-8")
                if not line.strip():
                    continue
                row = json.loads(line)
            except UnicodeDecodeError as error:
                raise ValueError(
                    f"{location}: expected UTF-8: {error}. Save it as UTF-8."
                ) from None
            except (json.JSONDecodeError, RecursionError) as error:
                raise ValueError(f"{location}: expected one JSON object a line: {error}.") from None
            if not isinstance(row, dict):
                raise ValueError(
                    f"{location}: expected a JSON object. Received: {line.strip()[:80]!r}."
                )
            yield location, row


def parquet_rows(path: Path, columns: Columns, block: Block = ALL) -> Iterator[Row]:
    """Reads the given columns of a Parquet file, row by row; all columns if none are given."""
    return itertools.islice(_read_parquet(path, columns, block.begin), block.rows)


def _read_parquet(path: Path, columns: Columns, begin: int) -> Iterator[Row]:
    with _open_parquet(path) as file:
        names = file.schema_arrow.names
        check_columns(f"`{path}`", columns, names)
        pairs = _pairs(columns)
        wanted = [column if column in names else column.split(".")[0] for _, column in pairs]
        groups = list(range(file.num_row_groups))
        at = 0
        while groups and at + file.metadata.row_group(groups[0]).num_rows <= begin:
            at += file.metadata.row_group(groups.pop(0)).num_rows
        for batch in file.iter_batches(
            _PARQUET_BLOCK, groups, columns=list(dict.fromkeys(wanted or names))
        ):
            skipped = min(max(begin - at, 0), batch.num_rows)
            at += skipped
            for row in batch.slice(skipped).to_pylist():
                yield f"`{path}`, row {at}", row
                at += 1


@contextlib.contextmanager
def _open_parquet(path: Path) -> Iterator[Any]:
    import_extra("Reading Parquet", "pyarrow", "tables")
    import pyarrow.parquet

    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            yield file
    except (pyarrow.ArrowException, OSError) as error:
        if isinstance(error, FileNotFoundError):
            raise
        raise ValueError(f"`{path}` must be a Parquet file: {first_line(error, 200)}") from None


def _pairs(columns: Columns) -> Iterator[tuple[str, str]]:
    for name, column in columns.items():
        for entry in [column] if isinstance(column, str) else column:
            yield name, entry


def check_columns(location: str, columns: Columns, names: Sequence[str]) -> None:
    """Raises a `MissingColumnError` if a column is in none of `names`, nor is its first part."""
    missing = {
        name: column
        for name, column in _pairs(columns)
        if column not in names and column.split(".")[0] not in names
    }
    if missing:
        raise MissingColumnError(location, missing, names)


class MissingColumnError(ValueError):
    """A table lacks the columns of `fields`. `problem` is the message without advice."""

    def __init__(self, location: str, missing: Mapping[str, str], names: Sequence[str]) -> None:
        self.fields = list(missing)
        columns = "columns" if len(missing) > 1 else "column"
        self.problem = (
            f"{location} has no {columns} {quote_names([*missing.values()])}. It has: "
            f"{quote_names(names)}."
        )
        examples = {"text": "context", "answers": "answer"}
        named = [f'`{name}="{examples.get(name, "column")}"`' for name in missing]
        its = "their columns" if len(missing) > 1 else "its column"
        advice = f"Name {its}, for example {' and '.join(named)}"
        if "answers" in missing:
            advice += ", or pass `answers=None` if there are none"
        super().__init__(f"{self.problem} {advice}.")
