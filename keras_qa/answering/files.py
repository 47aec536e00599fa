"""Answers to a file of questions, in bounded memory. An interrupted run can be resumed."""

from __future__ import annotations

import dataclasses
import json
import os
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any, Unpack

from keras_qa._arguments import check_positive_integers, to_optional_integer
from keras_qa.answering.answerer import QuestionAnswerer
from keras_qa.datasets import tables
from keras_qa.example import Answer, Example
from keras_qa.preprocessing import AskOptions
from keras_qa.terminal import Bar

# Maximum number of questions, and of characters in their texts, between two writes.
MOST_QUESTIONS = 128
MOST_CHARACTERS = 2_000_000

# Attribute these errors to their record; answers written before it are kept.
_ERRORS = (TypeError, ValueError)

_Record = tuple[str, Example]


@dataclasses.dataclass(frozen=True)
class FileSummary:
    """The result of `answer_file`.

    Args:
        questions: Number of questions that this call answered.
        before: Number of questions that earlier calls answered.
        seconds: Duration of this call.
    """

    questions: int
    before: int
    seconds: float


def answer_file(
    answerer: QuestionAnswerer,
    path: str | os.PathLike[str],
    out: str | os.PathLike[str],
    columns: Mapping[str, str] | None = None,
    text: str | None = None,
    top_k: int | None = None,
    batch_size: int = 32,
    verbose: int = 1,
    **options: Unpack[AskOptions],
) -> FileSummary:
    """Answers the questions of a file, and writes the answers to another, one in a line.

    Answers are written in chunks, and memory does not grow with their number. If `out` exists, its
    answers must belong to the first questions of `path`; the call continues after them. So the same
    call completes an interrupted one. An incomplete last line is removed first. If a question
    cannot be answered, the answers before it are written and an error is raised: correct or remove
    the question in `path`, and call again.

    Args:
        answerer: A trained `QuestionAnswerer`.
        path: A `.csv`, `.tsv`, `.jsonl` or `.parquet` file with the columns `text` (or `context`)
            and `question`, and optionally `id`; or SQuAD's `.json`, which is read at once.
        out: The file to write or to continue, ending in `.jsonl`. Each line is an object with
            `id`, `question`, `answer`, `score`, `start` and `end`.
        columns: Names of columns, as in `keras_qa.datasets.tables.load`.
        text: One text for all questions; the file then needs no texts. `None` to read them from
            the file.
        top_k: Number of answers to each question. Lines then also have a list `answers` of objects
            with `text`, `score`, `start` and `end`. `None` for the best one only.
        batch_size: Number of questions in a step.
        verbose: 0 is silent, 1 shows a progress bar.
        **options: As in `QuestionAnswerer.answer`.

    Returns:
        A `FileSummary`.

    Raises:
        FileNotFoundError: If `path` does not exist.
        ValueError: If a record of `path` is malformed or cannot be answered; an option is out of
            its range or does not apply to the model; or `out` contains something else than answers
            to the first questions of `path`. `out` is then unchanged.

    Examples:
        >>> import json, os, tempfile
        >>> import keras_qa
        >>> stories = keras_qa.datasets.babi.simulate(task=1, examples=50, seed=0)
        >>> qa = keras_qa.QuestionAnswerer(seed=0).fit(stories, epochs=1, verbose=0)
        >>> folder = tempfile.mkdtemp()
        >>> path, out = (os.path.join(folder, name) for name in ("asked.jsonl", "answers.jsonl"))
        >>> with open(path, "w") as file:
        ...     for number, story in enumerate(stories):
        ...         row = {"id": number, "text": story.text, "question": story.question}
        ...         print(json.dumps(row), file=file)
        >>> keras_qa.answering.files.answer_file(qa, path, out, verbose=0).questions
        50
        >>> with open(out) as file:
        ...     sorted(json.loads(file.readline()))
        ['answer', 'end', 'id', 'question', 'score', 'start']
    """
    began = time.monotonic()
    source, target = Path(path).expanduser(), Path(out).expanduser()
    _check(source, target)
    to_optional_integer("top_k", top_k)
    check_positive_integers(batch_size=batch_size)
    # Check the options here, so that an error is not attributed to the first question.
    answerer.answer([], [], **options)
    records = tables.records(source, columns or {}, answers=False, text=text)
    before = _skip_answered(target, records, source) if target.exists() else 0
    done = before
    bar = Bar(tables.count(source), before) if verbose else None
    with target.open("ab") as file:
        for chunk in _chunks(records):
            for part in _answer(answerer, chunk, top_k, batch_size, options):
                _write(file, part)
                done += len(part)
                if bar is not None:
                    bar.show(done)
    if bar is not None:
        bar.end(done)
    return FileSummary(done - before, before, time.monotonic() - began)


def _check(source: Path, target: Path) -> None:
    if source.suffix.lower() not in tables.SUFFIXES:
        raise ValueError(
            f"`path` must end in {', '.join(tables.SUFFIXES)}. Received: path={str(source)!r}."
        )
    if not source.is_file():
        raise FileNotFoundError(f"`path` must be a file. Received: path={str(source)!r}.")
    if target.suffix.lower() != ".jsonl":
        raise ValueError(
            "`out` must end in .jsonl, because each line is a JSON object. Received: "
            f"out={str(target)!r}."
        )
    if not target.resolve().parent.is_dir():
        raise ValueError(f"`out` is in a folder that does not exist: {str(target.parent)!r}.")
    if target.exists() and target.samefile(source):
        raise ValueError(f"`out` must be another file than `path`. Received: {str(target)!r}.")


def _skip_answered(target: Path, records: Iterator[_Record], source: Path) -> int:
    """Skips records with an answer, and removes an incomplete last line from the answers."""
    number, end, half = 0, 0, b""
    with target.open("rb") as file:
        for number, raw in enumerate(file, start=1):
            if not raw.endswith(b"\n"):
                number, half = number - 1, raw
                break
            place = f"`{target}`, line {number}"
            row = _row(raw)
            record = next(records, None)
            if row is None:
                raise ValueError(
                    f"{place} is not an answer. Use another `out`, or delete it to start again."
                )
            if record is None:
                raise ValueError(
                    f"{place} answers one question more than `{source}` has. Use another `out`, or "
                    "delete it to start again."
                )
            asked = record[1]
            if (row["id"], row["question"]) != (asked.id, asked.question):
                raise ValueError(
                    f"{place} answers the question {_named(row['id'], row['question'])}, but "
                    f"{record[0]} asks {_named(asked.id, asked.question)}. Use another `out`, or "
                    "delete it to start again."
                )
            end += len(raw)
    if half and not half.startswith(b'{"id"'[: len(half)]):
        raise ValueError(
            f"`{target}`, line {number + 1} is not an answer. Use another `out`, or delete it to "
            "start again."
        )
    if half:
        os.truncate(target, end)
    return number


def _row(raw: bytes) -> dict[str, Any] | None:
    try:
        row = json.loads(raw)
    except (ValueError, RecursionError):
        return None
    return row if isinstance(row, dict) and {"id", "question", "answer"} <= row.keys() else None


def _named(id: str | None, question: Any) -> str:
    return repr(str(question)[:60]) if id is None else f"with the id {id!r}"


def _chunks(records: Iterable[_Record]) -> Iterator[list[_Record]]:
    """Yields lists of records. The records before a malformed one come before the error."""
    chunk: list[_Record] = []
    size = 0
    try:
        for record in records:
            # Count a text once for consecutive questions about it.
            text = record[1].plain_text
            size += 0 if chunk and chunk[-1][1].plain_text == text else len(text)
            chunk.append(record)
            if len(chunk) == MOST_QUESTIONS or size >= MOST_CHARACTERS:
                yield chunk
                chunk, size = [], 0
    except _ERRORS:
        yield chunk
        raise
    yield chunk


def _answer(
    answerer: QuestionAnswerer,
    chunk: list[_Record],
    top_k: int | None,
    batch_size: int,
    options: AskOptions,
) -> Iterator[list[dict[str, Any]]]:
    """Yields the lines of a chunk. If a record fails, yields the lines before it and raises."""
    if not chunk:
        return
    try:
        found = _ask(answerer, [example for _, example in chunk], top_k, batch_size, options)
    except _ERRORS as error:
        if len(chunk) == 1:
            kind = TypeError if isinstance(error, TypeError) else ValueError
            raise kind(f"{chunk[0][0]}: {error}") from None
        for record in chunk:
            yield from _answer(answerer, [record], top_k, batch_size, options)
        return
    yield found


def _ask(
    answerer: QuestionAnswerer,
    examples: list[Example],
    top_k: int | None,
    batch_size: int,
    options: AskOptions,
) -> list[dict[str, Any]]:
    ranked = answerer.answer(
        [item.text for item in examples],
        [item.question for item in examples],
        top_k=top_k or 1,
        batch_size=batch_size,
        verbose=0,
        **options,
    )
    rows = []
    for item, answers in zip(examples, ranked, strict=True):
        best = _facts(answers[0])
        row = {"id": item.id, "question": item.question, "answer": best.pop("text"), **best}
        if top_k is not None:
            row["answers"] = [_facts(answer) for answer in answers]
        rows.append(row)
    return rows


def _facts(answer: Answer) -> dict[str, Any]:
    return {
        "text": answer.text,
        "score": round(answer.score, 6),
        "start": answer.start,
        "end": answer.end,
    }


def _write(file: IO[bytes], rows: list[dict[str, Any]]) -> None:
    for row in rows:
        line = json.dumps(row, ensure_ascii=False)
        try:
            raw = line.encode()
        except UnicodeEncodeError:
            # A lone surrogate can only be written as an escape.
            raw = json.dumps(row).encode()
        file.write(raw + b"\n")
    file.flush()
    os.fsync(file.fileno())
