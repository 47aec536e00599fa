"""Examples from CSV, TSV, JSON Lines and Parquet files, and from rows in memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from keras_qa.datasets import answer_offsets
from keras_qa.example import Example
from keras_qa.files import table_files

SUFFIXES = (".csv", ".tsv", ".jsonl", ".parquet")
_FIELDS = ("text", "question", "answers", "answer_start", "choices", "id", "document")
_ABSENT = object()


def load(
    path: str | Path,
    text: str = "text",
    question: str = "question",
    answers: str | None = "answers",
    answer_start: str | None = None,
    choices: str | Sequence[str] | None = None,
    id: str | None = None,
    document: str | None = None,
    strict: bool = True,
) -> list[Example]:
    """Reads examples from a CSV, TSV, JSON Lines or Parquet file.

    The arguments from `text` to `document` are names of columns. A dot selects
    a nested column: `answers="answers.text"` and
    `answer_start="answers.answer_start"` read SQuAD in the layout of Hugging
    Face. In CSV and TSV, cells with nested columns hold JSON.

    Args:
        path: A UTF-8 file that ends in `.csv`, `.tsv`, `.jsonl` or `.parquet`.
            The first line of CSV and TSV files holds the names of the columns.
        text: Column of the texts: strings or, in JSON Lines and Parquet, lists
            of sentences.
        question: Column of the questions.
        answers: Column of the answers: a string or a list of strings. A
            missing value, or an empty cell in CSV and TSV, means no answer.
            `None` if the table has no answers.
        answer_start: Column of the character offsets, one number per answer.
        choices: Column of the answers to choose from, or a list of columns
            with one choice each.
        id: Column of the ids of the examples.
        document: Column of the names of the documents that hold the texts.
        strict: Whether to raise if an answer is not at its `answer_start`. If
            false, such examples are skipped with a warning.

    Returns:
        A list of `Example` objects, in the order of the file.

    Raises:
        FileNotFoundError: If `path` does not exist.
        ValueError: If the file is malformed, a column, text or question is
            missing, or an answer is not at its `answer_start`.
        TypeError: If a value has the wrong type.
        ImportError: If pyarrow, needed for Parquet, is not installed.

    Examples:
        ```python
        examples = keras_qa.datasets.tables.load("faq.csv", text="context", answers="answer")
        ```
    """
    found = records(
        path,
        text=text,
        question=question,
        answers=answers,
        answer_start=answer_start,
        choices=choices,
        id=id,
        document=document,
    )
    return answer_offsets.check_answers(found, strict)


def rows(
    rows: Iterable[Mapping[str, Any]],
    text: str = "text",
    question: str = "question",
    answers: str | None = "answers",
    answer_start: str | None = None,
    choices: str | Sequence[str] | None = None,
    id: str | None = None,
    document: str | None = None,
    strict: bool = True,
) -> list[Example]:
    """Creates examples from rows in memory.

    Args:
        rows: Mappings from the names of columns to values, such as a data set
            of Hugging Face or `frame.to_dict("records")` of a DataFrame.
        text: Column of the texts. See `load` for this and all other arguments.
        question: Column of the questions.
        answers: Column of the answers, or `None`.
        answer_start: Column of the offsets of the answers.
        choices: Column or columns of the answers to choose from.
        id: Column of the ids of the examples.
        document: Column of the names of the documents.
        strict: Whether to raise if an answer is not at its offset.

    Returns:
        A list of `Example` objects, in the same order.

    Raises:
        ValueError: If a column, text or question is missing, or an answer is
            not at its `answer_start`.
        TypeError: If a row is not a mapping, or a value has the wrong type.

    Examples:
        >>> from keras_qa.datasets import tables
        >>> squad = {"context": "He went home.", "question": "Where did he go?",
        ...          "answers": {"text": ["home"], "answer_start": [8]}}
        >>> example, = tables.rows([squad], text="context", answers="answers.text",
        ...                        answer_start="answers.answer_start")
        >>> example.answers, example.answer_start
        (('home',), (8,))
    """
    found = row_records(
        rows,
        text=text,
        question=question,
        answers=answers,
        answer_start=answer_start,
        choices=choices,
        id=id,
        document=document,
    )
    return answer_offsets.check_answers(found, strict)


def records(
    path: str | Path, **columns: str | Sequence[str] | None
) -> Iterator[tuple[str, Example]]:
    """Yields the examples of a file, each after its description for error messages."""
    path = Path(path).expanduser()
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise ValueError(
            f"`path` must end in {', '.join(SUFFIXES)}. Received: path={str(path)!r}. "
            "Read other files yourself and pass their rows to `tables.rows`."
        )
    if not path.is_file():
        raise FileNotFoundError(f"`path` must be a file. Received: path={str(path)!r}.")
    names = _check_columns(columns)
    if suffix == ".jsonl":
        found: Iterable[table_files.Row] = table_files.jsonl_rows(path)
    elif suffix == ".parquet":
        found = table_files.parquet_rows(path, names)
    else:
        found = table_files.csv_rows(path, "\t" if suffix == ".tsv" else ",", names)
    return ((place, _example(place, row, names)) for place, row in found)


def row_records(
    rows: Iterable[Mapping[str, Any]], **columns: str | Sequence[str] | None
) -> Iterator[tuple[str, Example]]:
    """Yields the examples of rows in memory, each after its description for error messages."""
    if isinstance(rows, (str, bytes, Mapping)):
        raise TypeError(
            f"`rows` must be a list of mappings, one per row. Received one {type(rows).__name__}."
        )
    names = _check_columns(columns)
    return ((f"Row {at}", _example(f"Row {at}", row, names)) for at, row in enumerate(rows))


def _check_columns(given: Mapping[str, Any]) -> table_files.Columns:
    unknown = [name for name in given if name not in _FIELDS]
    if unknown:
        raise TypeError(
            f"Columns must be given for {', '.join(_FIELDS)}. Received: {unknown[0]!r}."
        )
    columns: dict[str, Any] = {}
    for name, column in given.items():
        if column is None and name not in ("text", "question"):
            continue
        if name == "choices" and isinstance(column, Sequence) and not isinstance(column, str):
            column = list(column)
            valid = all(isinstance(entry, str) for entry in column)
        else:
            valid = isinstance(column, str)
        if not valid:
            raise TypeError(
                f"`{name}` must be the name of a column. Received: `{name}={column!r}`."
            )
        columns[name] = column
    if "answer_start" in columns and "answers" not in columns:
        raise ValueError(
            "`answer_start` needs `answers`. Received: "
            f"answer_start={columns['answer_start']!r}, answers=None."
        )
    return columns


def _example(place: str, row: object, columns: table_files.Columns) -> Example:
    if not isinstance(row, Mapping):
        raise TypeError(
            f"{place} must be a mapping from columns to values. Received a "
            f'{type(row).__name__}. A DataFrame gives mappings with `frame.to_dict("records")`.'
        )
    fields: dict[str, Any] = {}
    for name, column in columns.items():
        if isinstance(column, str):
            fields[name] = _value(place, name, column, row)
        else:
            values = [_value(place, name, entry, row) for entry in column]
            fields[name] = [value for value in values if value is not None]
    for name in ("text", "question"):
        if fields[name] is None:
            raise ValueError(
                f"{place} must have a {name}. Its column `{columns[name]}` is empty or missing."
            )
    for name in ("answers", "answer_start", "choices"):
        if fields.get(name, ()) is None:
            fields[name] = ()
    if "answer_start" in fields:
        fields["answer_start"] = _offsets(place, fields["answer_start"])
    for name in ("id", "document"):
        if fields.get(name) is not None:
            fields[name] = str(fields[name])
    try:
        example = Example(**fields)
    except TypeError as error:
        raise TypeError(f"{place}: {error}") from None
    if "answer_start" in fields and len(example.answer_start) != len(example.answers):
        raise ValueError(
            f"{place} has {len(example.answers)} answers but {len(example.answer_start)} offsets "
            f"in `{columns['answer_start']}`. Expected one offset per answer."
        )
    return example


def _value(place: str, name: str, column: str, row: Mapping[str, Any]) -> Any:
    value = row.get(column, _ABSENT)
    if value is _ABSENT:
        # A dotted name that is not a column itself: select nested values.
        value = row
        for key in column.split("."):
            if value is None:
                break
            if not isinstance(value, Mapping) or key not in value:
                raise table_files.missing_column(place, name, column, list(row))
            value = value[key]
    if isinstance(value, (np.ndarray, np.generic)):
        value = value.tolist()
    # A DataFrame marks missing values by NaN or `pandas.NA`.
    if (isinstance(value, float) and value != value) or type(value).__name__ == "NAType":
        return None
    return value


def _offsets(place: str, value: object) -> tuple[int, ...]:
    offsets = []
    for entry in value if isinstance(value, (list, tuple)) else [value]:
        if isinstance(entry, str) and entry.strip().isdecimal():
            entry = int(entry)
        if not isinstance(entry, (int, np.integer)) or isinstance(entry, bool) or entry < 0:
            raise ValueError(
                f"{place}: `answer_start` must be non-negative integers. Received: {value!r}."
            )
        offsets.append(int(entry))
    return tuple(offsets)
