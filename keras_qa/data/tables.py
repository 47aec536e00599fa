"""Examples from CSV, TSV, JSON Lines and Parquet files, and from SQuAD's JSON."""

from __future__ import annotations

import contextlib
import dataclasses
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from keras_qa._arguments import quote_names, short_repr
from keras_qa.data import rows, squad
from keras_qa.example import Example

SUFFIXES = (".json", ".csv", ".tsv", ".jsonl", ".parquet")
FIELDS = (
    *("text", "question", "answers", "answer_start", "choices", "negatives", "id", "document"),
    *("source", "all_spans"),
)
# Fields of several strings: a column of lists, or several columns.
_LISTS = ("choices", "negatives")
# The column of the text by default: the first of these that a table has.
_TEXTS = ("text", "context", "passage")
_ABSENT = object()


def load(
    path: str | Path, *, strict: bool = True, **columns: str | Sequence[str] | None
) -> list[Example]:
    """Reads examples from a CSV, TSV, JSON Lines or Parquet file, or from SQuAD's JSON.

    Args:
        path: A UTF-8 file that ends in `.csv`, `.tsv`, `.jsonl` or `.parquet`. The first line of
            CSV and TSV files holds the names of the columns. Or a `.json` file in the layout of
            SQuAD, see `squad.load`.
        strict: Whether to raise if an answer is not at its `answer_start`. If false, such examples
            are skipped with a warning.
        **columns: Names of columns, by field of `Example`: `text`, `question`, `answers`,
            `answer_start`, `choices` and `negatives` (or lists of columns with one of them each),
            `id`, `document`, `source` and `all_spans` (true or false). A dot selects a nested
            column; in CSV and TSV, the cell then holds JSON. `answers=None` if the table has no
            answers. By default, texts are in the column `text`, `context` or `passage`, answers in
            `answers` or `answer` or nested in `answers`, like SQuAD on Hugging Face. The columns
            `answer_start`, `id`, `document`, `source`, `all_spans`, and `choices` and `negatives`
            if they hold lists, are optional. A table with `negatives` needs no answers.

    Returns:
        A list of `Example` objects, in the order of the file. Texts are strings or, in JSON Lines
        and Parquet, lists of sentences; answers are strings, lists of strings, or true and false
        for "yes" and "no". A missing answer, or an empty cell in CSV and TSV, means no answer.

    Raises:
        FileNotFoundError: If `path` does not exist.
        ValueError: If the file is malformed, a column, text or question is missing, or an answer is
            not at its `answer_start`.
        TypeError: If a value has the wrong type.
        ImportError: If pyarrow, needed for Parquet, is not installed.

    Examples:
        >>> import json, os, tempfile
        >>> from keras_qa import datasets
        >>> row = {"id": 7, "context": "He went home.", "question": "Where?", "answer": "home"}
        >>> path = os.path.join(tempfile.mkdtemp(), "questions.jsonl")
        >>> with open(path, "w") as file:
        ...     _ = file.write(json.dumps(row))
        >>> example, = datasets.tables.load(path)
        >>> example.text, example.answers, example.id
        ('He went home.', ('home',), '7')
        >>> datasets.tables.load(path, text="question", answers=None)[0].text
        'Where?'
    """
    if _to_file(path).suffix.lower() == ".json":
        return squad.load(path, strict=strict)
    return squad.check_answers(records(path, columns), strict)


def records(
    path: str | Path,
    columns: Mapping[str, str | Sequence[str] | None],
    answers: bool = True,
    text: str | None = None,
    block: rows.Block = rows.ALL,
) -> Iterator[tuple[str, Example]]:
    """Yields the examples of a file one by one, each with a description for error messages.

    Offsets are not checked. JSON is read at once, tables row by row. `text` replaces the texts of
    the file. `block` selects rows of JSON Lines and Parquet files.
    """
    file = _to_file(path)
    if file.suffix.lower() == ".json":
        for example in squad.load(file):
            if text is not None:
                example = Example(text, example.question, id=example.id)
            yield f"`{file}`, question {example.id!r:.40}", example
        return
    chosen = columns if answers else {**columns, "answers": None, "answer_start": None}
    first = next((row for _, row in _rows(file, {})), {})
    names = _columns(first, chosen)
    if text is not None:
        names["text"] = names["question"]
    for location, row in _rows(file, names, block):
        example = _example(location, row, names)
        yield location, example if text is None else dataclasses.replace(example, text=text)


def load_questions(path: str | Path, **columns: str | Sequence[str] | None) -> list[Example]:
    """Reads questions about the documents of an index, for `recipes.examples_from_index`.

    The file is as for `load`, but a row needs no text. `document`, or the first of `documents`, is
    the name of a document that answers; the text, if there is one, is the part that does.

    Raises:
        ValueError, TypeError, ImportError: As `load`.
    """
    file = _to_file(path)
    if file.suffix.lower() == ".json":
        return squad.load(file)
    first = next((row for _, row in _rows(file, {})), {})
    names = _columns(first, columns)
    names.pop("answer_start", None)
    texts = [names["text"]] if "text" in columns else list(_TEXTS)
    names["text"] = names["question"]
    questions = []
    for location, row in _rows(file, names):
        values = [_value(location, "text", name, row) for name in texts if name in row]
        text = next((value for value in values if value), None)
        example = _example(location, row, names)
        documents = row.get("documents")
        if example.document is None and isinstance(documents, list) and documents:
            example = dataclasses.replace(example, document=str(documents[0]))
        questions.append(dataclasses.replace(example, text=text or ""))
    return questions


def count(path: str | Path) -> int:
    """Number of questions in a file."""
    file = Path(path).expanduser()
    suffix = file.suffix.lower()
    if suffix == ".json":
        return len(squad.load(file))
    if suffix == ".jsonl":
        with file.open("rb") as lines:
            return sum(1 for line in lines if line.strip())
    return sum(1 for _ in _rows(file, {}))


def _to_file(path: str | Path) -> Path:
    file = Path(path).expanduser()
    if file.suffix.lower() not in SUFFIXES:
        raise ValueError(f"`path` must end in {', '.join(SUFFIXES)}. Received: path={str(path)!r}.")
    if not file.is_file():
        raise FileNotFoundError(f"There is no file {str(path)!r}.")
    return file


def _rows(file: Path, columns: rows.Columns, block: rows.Block = rows.ALL) -> Iterator[rows.Row]:
    suffix = file.suffix.lower()
    if suffix == ".jsonl":
        return rows.jsonl_rows(file, block)
    if suffix == ".parquet":
        return rows.parquet_rows(file, columns, block)
    return rows.csv_rows(file, "\t" if suffix == ".tsv" else ",", columns)


def _columns(
    row: Mapping[str, Any], chosen: Mapping[str, str | Sequence[str] | None]
) -> dict[str, str | Sequence[str]]:
    """The columns of the fields that a table has: those given, or else those of its first row."""
    for name, column in chosen.items():
        if name not in FIELDS:
            raise TypeError(
                f"Columns must be given for {', '.join(FIELDS)}. Received: {name!r:.80}."
            )
        optional = column is None and name not in ("text", "question")
        several = name in _LISTS and isinstance(column, (list, tuple))
        parts = column if several and column else [column]
        if not optional and not all(isinstance(part, str) for part in parts):
            raise TypeError(
                f"`{name}` must be the name of a column. Received: `{name}={short_repr(column)}`."
            )
    defaults = _layout(row)
    if chosen.get("answers", "") is None:
        if chosen.get("answer_start") is not None:
            raise ValueError(
                "`answer_start` needs `answers`. Received: "
                f"answer_start={chosen['answer_start']!r:.80}, answers=None."
            )
        defaults.pop("answer_start", None)
    return {name: column for name, column in {**defaults, **chosen}.items() if column is not None}


def _layout(row: Mapping[str, Any]) -> dict[str, str]:
    """The columns of a table by default."""
    names = {"text": "text", "question": "question", "answers": "answers"}
    optional = ("answer_start", "id", "document", "source", "all_spans")
    names.update({name: name for name in optional if name in row})
    names["text"] = next((name for name in _TEXTS if name in row), "text")
    names.update({name: name for name in _LISTS if isinstance(row.get(name), list)})
    nested = row.get("answers")
    if isinstance(nested, str):
        # A cell of CSV. Other text is an answer.
        with contextlib.suppress(json.JSONDecodeError, RecursionError):
            nested = json.loads(nested)
    if isinstance(nested, Mapping) and {"text", "answer_start"} <= nested.keys():
        names.update(answers="answers.text", answer_start="answers.answer_start")
    elif "answers.text" in row:
        names["answers"] = "answers.text"
        if "answers.answer_start" in row:
            names["answer_start"] = "answers.answer_start"
    elif "answers" not in row and "answer" in row:
        names["answers"] = "answer"
    elif "answers" not in row and "negatives" in names:
        del names["answers"]
    return names


def _example(location: str, row: Mapping[str, Any], columns: rows.Columns) -> Example:
    fields: dict[str, Any] = {}
    rows.check_columns(location, columns, list(row))
    for name, column in columns.items():
        if isinstance(column, str):
            fields[name] = _value(location, name, column, row)
        else:
            values = [_value(location, name, entry, row) for entry in column]
            fields[name] = [value for value in values if value is not None]
    for name in ("text", "question"):
        if fields[name] is None:
            raise ValueError(
                f"{location} must have a {name}. Its column {quote_names([columns[name]])} is "
                "empty or missing."
            )
    for name in ("answers", "answer_start", *_LISTS):
        if fields.get(name, ()) is None:
            fields[name] = ()
    if "answer_start" in fields:
        fields["answer_start"] = _offsets(location, fields["answer_start"])
    for name in ("id", "document", "source"):
        if fields.get(name) is not None:
            fields[name] = str(fields[name])
    # A cell of CSV is a string.
    flag = str(fields.get("all_spans")).lower()
    if flag in ("", "none", "true", "false"):
        fields["all_spans"] = flag == "true"
    try:
        example = Example(**fields)
    except TypeError as error:
        raise TypeError(f"{location}: {error}") from None
    if "answer_start" in fields and len(example.answer_start) != len(example.answers):
        raise ValueError(
            f"{location} has {len(example.answers)} answers but {len(example.answer_start)} "
            f"offsets in {quote_names([columns['answer_start']])}. Expected one offset per answer."
        )
    return example


def _value(location: str, name: str, column: str, row: Mapping[str, Any]) -> Any:
    value = row.get(column, _ABSENT)
    if value is _ABSENT:
        # A dotted name that is not a column itself: select nested values.
        value = row
        for key in column.split("."):
            if value is None:
                break
            if not isinstance(value, Mapping) or key not in value:
                raise rows.MissingColumnError(location, {name: column}, list(row))
            value = value[key]
    # pandas writes missing values as NaN.
    return None if isinstance(value, float) and value != value else value


def _offsets(location: str, value: object) -> tuple[int, ...]:
    offsets = []
    for entry in value if isinstance(value, (list, tuple)) else [value]:
        if isinstance(entry, str) and entry.strip().isdecimal():
            entry = int(entry)
        if not isinstance(entry, int) or isinstance(entry, bool) or entry < 0:
            raise ValueError(
                f"{location}: `answer_start` must be non-negative integers. Received: "
                f"{short_repr(value)}."
            )
        offsets.append(entry)
    return tuple(offsets)
