"""Examples from tables: CSV, TSV, JSON Lines and Parquet files, and rows in memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from keras_qa.datasets import answer_offsets
from keras_qa.example import Example
from keras_qa.files import table_files

SUFFIXES = (".csv", ".tsv", ".jsonl", ".parquet")
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

    All but `path` are names of columns. A dot leads into nested columns:
    `answers="answers.text"`, `answer_start="answers.answer_start"` read SQuAD
    in the layout of Hugging Face. In CSV and TSV such a cell holds JSON.

    Args:
        path: A file whose name ends in `.csv`, `.tsv`, `.jsonl` or
            `.parquet`; in UTF-8. CSV and TSV files start with the names of
            their columns.
        text: The column of the texts: strings or, in JSON Lines and Parquet,
            lists of sentences.
        question: The column of the questions.
        answers: The column of the answers: a string, or a list of them. A
            missing value, or an empty cell in CSV and TSV, gives no answer.
            `None` where the table has no answers.
        answer_start: The column of the character offsets of the answers, one
            number an answer.
        choices: The column of the answers to choose from, or a list of
            columns with one choice each.
        id: The column of the names of the examples.
        document: The column of the names of the documents that the texts are from.
        strict: Whether to raise at an example whose answer is not at its
            `answer_start`. Otherwise it is left out, and a warning says how
            many were.

    Returns:
        A list of `Example` objects, in the order of the file.

    Raises:
        FileNotFoundError: If nothing is at `path`.
        ValueError: If the file is malformed, a column is missing, or a text
            or question is; or if an answer is not where `answer_start` says.
        TypeError: If a value has the wrong type.
        ImportError: If Parquet is read without pyarrow.

    Examples:
        ```python
        examples = keras_qa.datasets.tables.load("faq.csv", text="context", answers="answer")
        ```
    """
    found = records(path, text, question, answers, answer_start, choices, id, document)
    return answer_offsets.checked(found, strict)


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
    """Makes examples from rows in memory.

    Args:
        rows: Mappings from the names of columns to values: a data set of
            Hugging Face, `frame.to_dict("records")` of a DataFrame.
        text: As in `load`, like all that follow.
        question: The column of the questions.
        answers: The column of the answers, or `None`.
        answer_start: The column of the offsets of the answers.
        choices: The column, or columns, of the answers to choose from.
        id: The column of the names of the examples.
        document: The column of the names of the documents that the texts are from.
        strict: As in `load`.

    Returns:
        A list of `Example` objects, in the same order.

    Raises:
        ValueError: If a column is missing, or a text or question is; or if an
            answer is not where `answer_start` says.
        TypeError: If a row is no mapping, or a value has the wrong type.

    Examples:
        >>> from keras_qa.datasets import tables
        >>> squad = {"context": "He went home.", "question": "Where did he go?",
        ...          "answers": {"text": ["home"], "answer_start": [8]}}
        >>> example, = tables.rows([squad], text="context", answers="answers.text",
        ...                        answer_start="answers.answer_start")
        >>> example.answers, example.answer_start
        (('home',), (8,))
    """
    found = row_records(rows, text, question, answers, answer_start, choices, id, document)
    return answer_offsets.checked(found, strict)


def records(
    path: str | Path,
    text: str,
    question: str,
    answers: str | None = None,
    answer_start: str | None = None,
    choices: str | Sequence[str] | None = None,
    id: str | None = None,
    document: str | None = None,
) -> Iterator[tuple[str, Example]]:
    """The examples of a file, each with what to call it in a message. See `load`."""
    path = Path(path).expanduser()
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise ValueError(
            f"`path` must end in {', '.join(SUFFIXES)}. Received: `path={str(path)!r}`. "
            "Read other files yourself and pass their rows to `tables.rows`."
        )
    if not path.is_file():
        raise FileNotFoundError(f"`path` must be a file. Received: `path={str(path)!r}`.")
    columns = _columns(text, question, answers, answer_start, choices, id, document)
    if suffix == ".jsonl":
        read: Iterable[table_files.Row] = table_files.jsonl_rows(path)
    elif suffix == ".parquet":
        read = table_files.parquet_rows(path, columns)
    else:
        read = table_files.csv_rows(path, "\t" if suffix == ".tsv" else ",", columns)
    return ((place, _example(place, row, columns)) for place, row in read)


def row_records(
    rows: Iterable[Mapping[str, Any]],
    text: str,
    question: str,
    answers: str | None = None,
    answer_start: str | None = None,
    choices: str | Sequence[str] | None = None,
    id: str | None = None,
    document: str | None = None,
) -> Iterator[tuple[str, Example]]:
    """The examples of rows in memory, each with what to call it. See `rows`."""
    if isinstance(rows, (str, bytes, Mapping)):
        raise TypeError(
            f"`rows` must be a list of mappings, one a row. Received one {type(rows).__name__}."
        )
    columns = _columns(text, question, answers, answer_start, choices, id, document)
    return ((f"Row {at}", _example(f"Row {at}", row, columns)) for at, row in enumerate(rows))


def _columns(
    text: str,
    question: str,
    answers: str | None,
    answer_start: str | None,
    choices: str | Sequence[str] | None,
    id: str | None,
    document: str | None,
) -> table_files.Columns:
    given = {
        "text": text,
        "question": question,
        "answers": answers,
        "answer_start": answer_start,
        "choices": choices,
        "id": id,
        "document": document,
    }
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
            f"`answer_start` needs `answers`. Received: `answer_start={answer_start!r}`, "
            "`answers=None`."
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
                f"{place} has no {name}: its column `{columns[name]}` is missing there."
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
            f"in `{columns['answer_start']}`: expected one an answer."
        )
    return example


def _value(place: str, name: str, column: str, row: Mapping[str, Any]) -> Any:
    value = row.get(column, _ABSENT)
    if value is _ABSENT:
        # Not a column as it stands: each dot leads one level down.
        value = row
        for key in column.split("."):
            if value is None:
                break
            if not isinstance(value, Mapping) or key not in value:
                raise table_files.missing_column(place, name, column, list(row))
            value = value[key]
    if isinstance(value, (np.ndarray, np.generic)):
        value = value.tolist()
    # A DataFrame has NaN or its own NA where nothing is.
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
                f"{place}: `answer_start` must be whole numbers from 0. Received: {value!r}."
            )
        offsets.append(int(entry))
    return tuple(offsets)
