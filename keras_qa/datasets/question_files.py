"""Questions from SQuAD's JSON or from tables, whose layout is detected."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from keras_qa.datasets import answer_offsets, squad, tables
from keras_qa.example import Example
from keras_qa.files import table_files

SUFFIXES = (".json", *tables.SUFFIXES)


def load(
    path: str | Path, columns: Mapping[str, str] | None = None, strict: bool = True
) -> list[Example]:
    """Reads examples from SQuAD's JSON or from a table.

    Args:
        path: A `.json` file in the layout of SQuAD, or a `.csv`, `.tsv`,
            `.jsonl` or `.parquet` file. By default, texts are in the column
            `text` or `context`, answers in `answers` or `answer` (or nested in
            `answers`, like SQuAD on Hugging Face), and the columns
            `answer_start`, `id` and `document` are optional.
        columns: Names of columns that override this, by argument of
            `tables.load`.
        strict: See `tables.load`.

    Returns:
        A list of `Example` objects.

    Raises:
        FileNotFoundError: If `path` does not exist.
        ValueError: If the file is malformed, or an answer is not at its
            offset.

    Examples:
        >>> import json, os, tempfile
        >>> from keras_qa.datasets import question_files
        >>> row = {"id": 7, "context": "He went home.", "question": "Where?", "answer": "home"}
        >>> path = os.path.join(tempfile.mkdtemp(), "questions.jsonl")
        >>> with open(path, "w") as file:
        ...     _ = file.write(json.dumps(row))
        >>> example, = question_files.load(path)
        >>> example.text, example.answers, example.id
        ('He went home.', ('home',), '7')
    """
    if Path(path).suffix.lower() == ".json":
        return squad.load(path, strict=strict)
    return answer_offsets.check_answers(records(path, columns), strict)


def records(
    path: str | Path,
    columns: Mapping[str, str] | None = None,
    answers: bool = True,
    text: str | None = None,
) -> Iterator[tuple[str, Example]]:
    """Yields the examples of a file one by one, without checking offsets.

    Args:
        path: See `load`. JSON is read at once, tables row by row.
        columns: See `load`.
        answers: Whether to read answers.
        text: Text for all questions, instead of those of the file. Optional.

    Yields:
        A description of the example for error messages, and the example.
    """
    path = Path(path).expanduser()
    if path.suffix.lower() == ".json":
        for example in squad.load(path):
            if text is not None:
                example = Example(text, example.question, id=example.id)
            yield f"`{path}`, question {example.id!r}", example
        return
    given = dict(columns or {})
    if path.suffix.lower() in tables.SUFFIXES and path.is_file():
        given = {**_layout(_first(path)), **given}
    if not answers:
        given = {name: given[name] for name in given if name not in ("answers", "answer_start")}
    arguments: dict[str, Any] = {"text": "text", "question": "question", **given}
    if answers:
        arguments.setdefault("answers", "answers")
    if text is None:
        yield from tables.records(path, **arguments)
        return
    arguments["text"] = arguments["question"]
    for place, example in tables.records(path, **arguments):
        yield place, dataclasses.replace(example, text=text)


def count(path: str | Path) -> int:
    """Number of questions in a file."""
    path = Path(path).expanduser()
    suffix = path.suffix.lower()
    if suffix == ".json":
        return len(squad.load(path))
    if suffix == ".jsonl":
        with path.open("rb") as file:
            return sum(1 for line in file if line.strip())
    return sum(1 for _ in _rows(path))


def _rows(path: Path) -> Iterator[table_files.Row]:
    suffix = path.suffix.lower()
    if suffix == ".jsonl":
        return table_files.jsonl_rows(path)
    if suffix == ".parquet":
        return table_files.parquet_rows(path, {})
    return table_files.csv_rows(path, "\t" if suffix == ".tsv" else ",", {})


def _first(path: Path) -> dict[str, Any]:
    """The first row, or `{}`."""
    return next((row for _, row in _rows(path)), {})


def _layout(row: Mapping[str, Any]) -> dict[str, str]:
    names = {}
    if "text" not in row and "context" in row:
        names["text"] = "context"
    nested = row.get("answers")
    if isinstance(nested, str) and nested.lstrip().startswith("{"):
        nested = {"text": None, "answer_start": None}
    if isinstance(nested, Mapping) and {"text", "answer_start"} <= nested.keys():
        names.update(answers="answers.text", answer_start="answers.answer_start")
    elif "answers.text" in row:
        names["answers"] = "answers.text"
        if "answers.answer_start" in row:
            names["answer_start"] = "answers.answer_start"
    elif "answers" not in row and "answer" in row:
        names["answers"] = "answer"
    if "answer_start" in row and "answer_start" not in names:
        names["answer_start"] = "answer_start"
    names.update({name: name for name in ("id", "document") if name in row})
    return names
