"""Questions from a file, answers to a file: in bounded memory, and broken off without loss."""

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
from keras_qa.datasets import question_files
from keras_qa.example import Answer, Example
from keras_qa.tasks import AskOptions
from keras_qa.terminal import Bar

# So many questions, or characters of their texts, are answered before their answers are written.
MOST_QUESTIONS = 128
MOST_CHARACTERS = 2_000_000

# What stands in the way of an answer is said of the record, and the answers before it are kept.
_ERRORS = (TypeError, ValueError)

_Record = tuple[str, Example]


@dataclasses.dataclass(frozen=True)
class Answered:
    """What `answer_file` did.

    Args:
        questions: How many questions it answered.
        before: How many had been answered before.
        seconds: How long it took.
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
) -> Answered:
    """Answers the questions of a file, and writes an answer a line to another.

    Answers are written as they come, and memory does not grow with their
    number. If `out` holds answers already, those of the questions that `path`
    begins with, it goes on with the next one: the same call finishes what was
    broken off. A last line that was half written is dropped first. A question
    that cannot be answered stops the work, after the answers before it were
    written: correct it in `path`, or take it out, and call again.

    Args:
        answerer: A trained `QuestionAnswerer`.
        path: A `.csv`, `.tsv`, `.jsonl` or `.parquet` file with the columns
            `text` (or `context`) and `question` and, where there is one, `id`;
            or SQuAD's `.json`, which is read at once.
        out: The file to write or to go on with, ending in `.jsonl`. Each line
            is an object with `id`, `question`, `answer`, `score`, `start` and
            `end`.
        columns: Names of columns, as the arguments of
            `keras_qa.datasets.tables.load`.
        text: The text that all questions are about; the file then needs none.
            `None` for those of the file.
        top_k: Number of answers to write a question: a list `answers` of
            objects with `text`, `score`, `start` and `end`, beside the best
            one. `None` for the best one alone.
        batch_size: Number of questions a step.
        verbose: 0 is silent, 1 shows a progress bar.
        **options: As in `QuestionAnswerer.answer`.

    Returns:
        An `Answered`.

    Raises:
        FileNotFoundError: If nothing is at `path`.
        ValueError: If a record of `path` is malformed or cannot be answered,
            which is named; if an option is out of its range or for models of
            another kind; or if `out` holds something else than answers to
            the questions that `path` begins with. Nothing of it is lost.

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
    # An option that is out of range is no fault of the first question.
    answerer.answer([], [], **options)
    records = question_files.records(source, columns, answers=False, text=text)
    before = _resumed(target, records, source) if target.exists() else 0
    done = before
    bar = Bar(question_files.count(source), before) if verbose else None
    with target.open("ab") as file:
        for chunk in _chunks(records):
            for part in _answered(answerer, chunk, top_k, batch_size, options):
                _write(file, part)
                done += len(part)
                if bar is not None:
                    bar.show(done)
    if bar is not None:
        bar.end(done)
    return Answered(done - before, before, time.monotonic() - began)


def _check(source: Path, target: Path) -> None:
    if source.suffix.lower() not in question_files.SUFFIXES:
        raise ValueError(
            f"`path` must end in {', '.join(question_files.SUFFIXES)}. Received: "
            f"path={str(source)!r}."
        )
    if not source.is_file():
        raise FileNotFoundError(f"`path` must be a file. Received: path={str(source)!r}.")
    if target.suffix.lower() != ".jsonl":
        raise ValueError(
            f"`out` must end in .jsonl: it gets a JSON object a line. Received: "
            f"out={str(target)!r}."
        )
    if not target.resolve().parent.is_dir():
        raise ValueError(f"`out` is in a folder that does not exist: {str(target.parent)!r}.")
    if target.exists() and target.samefile(source):
        raise ValueError(f"`out` must be another file than `path`. Received: {str(target)!r}.")


def _resumed(target: Path, records: Iterator[_Record], source: Path) -> int:
    """Takes the records off that have an answer, and cuts a half-written line off the answers."""
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
                    f"{place} holds no answer. Name another file for answers, or delete it to "
                    "start anew."
                )
            if record is None:
                raise ValueError(
                    f"{place} answers a question more than `{source}` has. Name another file for "
                    "answers, or delete it to start anew."
                )
            asked = record[1]
            if (row["id"], row["question"]) != (asked.id, asked.question):
                raise ValueError(
                    f"{place} answers the question {_named(row['id'], row['question'])}, but "
                    f"{record[0]} asks {_named(asked.id, asked.question)}. Name another file for "
                    "answers, or delete it to start anew."
                )
            end += len(raw)
    if half and not half.startswith(b'{"id"'[: len(half)]):
        raise ValueError(
            f"`{target}`, line {number + 1} holds no answer. Name another file for answers, or "
            "delete it to start anew."
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
    """Lists of records. Those before a malformed one come, then the error is raised."""
    chunk: list[_Record] = []
    size = 0
    try:
        for record in records:
            # Texts of questions that follow each other are read once.
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


def _answered(
    answerer: QuestionAnswerer,
    chunk: list[_Record],
    top_k: int | None,
    batch_size: int,
    options: AskOptions,
) -> Iterator[list[dict[str, Any]]]:
    """The lines of a chunk; or, where a record cannot be answered, those of the ones before it."""
    if not chunk:
        return
    try:
        found = _ask(answerer, [example for _, example in chunk], top_k, batch_size, options)
    except _ERRORS as error:
        if len(chunk) == 1:
            kind = TypeError if isinstance(error, TypeError) else ValueError
            raise kind(f"{chunk[0][0]}: {error}") from None
        for record in chunk:
            yield from _answered(answerer, [record], top_k, batch_size, options)
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
            # Half a character, which only an escape can stand for.
            raw = json.dumps(row).encode()
        file.write(raw + b"\n")
    file.flush()
    os.fsync(file.fileno())
