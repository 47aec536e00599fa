"""Answers to a file of questions, in bounded memory. An interrupted run can be resumed."""

from __future__ import annotations

import json
import os
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


def answer_file(
    answerer: QuestionAnswerer,
    path: str | os.PathLike[str],
    out: str | os.PathLike[str],
    columns: Mapping[str, str] | None = None,
    text: str | None = None,
    top_k: int | None = None,
    batch_size: int = 32,
    verbose: int = 1,
    all_spans: bool = False,
    **options: Unpack[AskOptions],
) -> tuple[int, int]:
    """Answers the questions of a file, and writes the answers to another, one in a line.

    Answers are written in chunks, and memory does not grow with their number. If `out` exists, its
    answers must belong to the first questions of `path`; the call continues after them. So the same
    call completes an interrupted one. An incomplete last line is removed first. If a question
    cannot be answered, the answers before it are written and an error is raised.

    Each line of `out` is a JSON object with `id`, `question`, `answer`, `score`, `start` and `end`;
    with `top_k` or `all_spans` also a list `answers` of objects with `text`, `score`, `start` and
    `end`. With `all_spans` it may be empty; then `answer` is empty too, and the score is `null`.
    `columns` are as in `keras_qa.datasets.tables.load`, and `text` is one text for all questions.
    Returns the numbers of questions that this call and earlier calls answered.
    """
    source, target = Path(path).expanduser(), Path(out).expanduser()
    _check(source, target)
    to_optional_integer("top_k", top_k)
    check_positive_integers(batch_size=batch_size)
    # Check the options here, so that an error is not attributed to the first question.
    asked: dict[str, Any] = {**options, "top_k": top_k, "all_spans": all_spans}
    answerer.answer([], [], **asked)
    records = tables.records(source, columns or {}, answers=False, text=text)
    before = _skip_answered(target, records, source) if target.exists() else 0
    done = before
    bar = Bar(tables.count(source), before) if verbose else None
    with target.open("ab") as file:
        for chunk in _chunks(records):
            for part in _answer(answerer, chunk, batch_size, asked):
                _write(file, part)
                done += len(part)
                if bar is not None:
                    bar.show(done)
    if bar is not None:
        bar.end(done)
    return done - before, before


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
    answered, end = 0, 0
    with target.open("rb") as file:
        for raw in file:
            is_whole = raw.endswith(b"\n")
            if is_whole:
                is_answer = _is_answer(raw, next(records, None))
            else:
                is_answer = raw.startswith(b'{"id"'[: len(raw)])
            if not is_answer:
                raise ValueError(
                    f"`{target}`, line {answered + 1} is not the answer to question {answered + 1} "
                    f"of `{source}`. Use another `out`, or delete it to start again."
                )
            if not is_whole:
                os.truncate(target, end)
                break
            answered, end = answered + 1, end + len(raw)
    return answered


def _is_answer(raw: bytes, record: _Record | None) -> bool:
    try:
        row = json.loads(raw)
        given = row["question"], row["id"], "answer" in row
    except (ValueError, RecursionError, TypeError, KeyError):
        return False
    return record is not None and given == (record[1].question, record[1].id, True)


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
    batch_size: int,
    asked: dict[str, Any],
) -> Iterator[list[dict[str, Any]]]:
    """Yields the lines of a chunk. If a record fails, yields the lines before it and raises."""
    if not chunk:
        return
    try:
        found = _ask(answerer, [example for _, example in chunk], batch_size, asked)
    except _ERRORS as error:
        if len(chunk) == 1:
            kind = TypeError if isinstance(error, TypeError) else ValueError
            raise kind(f"{chunk[0][0]}: {error}") from None
        for record in chunk:
            yield from _answer(answerer, [record], batch_size, asked)
        return
    yield found


def _ask(
    answerer: QuestionAnswerer,
    examples: list[Example],
    batch_size: int,
    asked: dict[str, Any],
) -> list[dict[str, Any]]:
    has_list = asked["all_spans"] or asked["top_k"] is not None
    if not has_list:
        asked = {**asked, "top_k": 1}
    ranked = answerer.answer(examples, batch_size=batch_size, verbose=0, **asked)
    rows = []
    for item, answers in zip(examples, ranked, strict=True):
        best = _facts(answers[0]) if answers else {**_facts(Answer("", 0.0)), "score": None}
        row = {"id": item.id, "question": item.question, "answer": best.pop("text"), **best}
        if has_list:
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
        # A lone surrogate can only be written as an escape.
        file.write(json.dumps(row, ensure_ascii=False).encode("utf-8", "backslashreplace") + b"\n")
    file.flush()
    os.fsync(file.fileno())
