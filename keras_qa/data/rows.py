"""The rows of CSV, TSV, JSON Lines and Parquet files."""

from __future__ import annotations

import collections
import csv
import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from keras_qa._arguments import quote_names

# `csv.field_size_limit` is a setting of the process, not of a reader.
_CSV_LIMIT_LOCK = threading.Lock()
_CSV_LIMIT = 2**31 - 1
_PARQUET_BLOCK = 256

# The place of a row for error messages, and its values by column.
Row = tuple[str, dict[str, Any]]

# The column or columns of each field of an example.
Columns = Mapping[str, str | Sequence[str]]


def csv_rows(
    path: Path, delimiter: str, columns: Columns, encoding: str = "utf-8-sig"
) -> Iterator[Row]:
    """Reads the rows of a CSV or TSV file. Cells of nested columns, such as `a.b`, are JSON."""
    # `utf-8-sig`: Excel starts its UTF-8 files with a byte order mark.
    rows = _read_csv(path, delimiter, columns, encoding)
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


def _read_csv(path: Path, delimiter: str, columns: Columns, encoding: str) -> Iterator[Row]:
    with path.open(encoding=encoding, newline="") as file:
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
            nested = set()
            for name, column in _pairs(columns):
                top = column.split(".")[0]
                if column not in header and top not in header:
                    raise MissingColumnError(f"`{path}`", name, column, header)
                if column not in header:
                    nested.add(top)
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


def jsonl_rows(path: Path) -> Iterator[Row]:
    """Reads the rows of a JSON Lines file."""
    # Read bytes: lines end at "\n" only, and strings may contain other Unicode line breaks.
    with path.open("rb") as file:
        for at, raw in enumerate(file, start=1):
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


def parquet_rows(path: Path, columns: Columns) -> Iterator[Row]:
    """Reads the given columns of a Parquet file, row by row; all columns if none are given."""
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise ImportError(
            'Reading Parquet needs pyarrow. Install it with `pip install "keras-qa[tables]"`.'
        ) from None
    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            names = file.schema_arrow.names
            wanted = []
            for name, column in _pairs(columns):
                top = column if column in names else column.split(".")[0]
                if top not in names:
                    raise MissingColumnError(f"`{path}`", name, column, names)
                wanted.append(top)
            at = 0
            for batch in file.iter_batches(
                _PARQUET_BLOCK, columns=list(dict.fromkeys(wanted or names))
            ):
                for row in batch.to_pylist():
                    yield f"`{path}`, row {at}", row
                    at += 1
    except (pyarrow.ArrowException, OSError) as error:
        if isinstance(error, FileNotFoundError):
            raise
        line = next(iter(str(error).splitlines()), "it is damaged")[:200]
        raise ValueError(f"`{path}` must be a Parquet file: {line}") from None


def _pairs(columns: Columns) -> Iterator[tuple[str, str]]:
    for name, column in columns.items():
        for entry in [column] if isinstance(column, str) else column:
            yield name, entry


class MissingColumnError(ValueError):
    """A table lacks the column of a `field`. `problem` is the message without advice for Python."""

    def __init__(self, location: str, field: str, column: str, names: Sequence[str]) -> None:
        self.field = field
        self.problem = (
            f"{location} has no column {quote_names([column])}. It has: {quote_names(names)}."
        )
        example = {"text": "context", "answers": "answer"}.get(field, "column")
        advice = f'Name its column, for example `{field}="{example}"`'
        if field == "answers":
            advice += ", or pass `answers=None` if there are none"
        super().__init__(f"{self.problem} {advice}.")
