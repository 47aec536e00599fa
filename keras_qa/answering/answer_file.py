"""Answers to a file of questions, in bounded memory. An interrupted run can be resumed."""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any, Unpack

from keras_qa._terminal import Bar
from keras_qa.answering.answerer import QuestionAnswerer
from keras_qa.data import tables
from keras_qa.data.sqlite import connect, lock, sqlite3
from keras_qa.example import Answer, Example
from keras_qa.preprocessing.ask_calibration import AskOptions

# Maximum number of questions, and of characters in their texts, between two writes.
MOST_QUESTIONS = 128
MOST_CHARACTERS = 2_000_000

# How each answer begins, and the number of bytes that are read at once.
_BEGIN = b'{"id"'
_BLOCK = 1_000_000

# Attribute these errors to their record; answers written before it are kept.
ERRORS = (TypeError, ValueError)

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

    Returns the numbers of questions that this call and earlier calls answered. The file `out` with
    `.progress` added keeps which chunks are complete, and checksums of the reader, the questions
    and the answers. So the same call completes an interrupted one, and a call with other options or
    questions raises a `ValueError`. Answers before an error are written.

    Each line of `out` is a JSON object with `id`, `question`, `answer`, `score`, `start` and `end`;
    with `top_k` or `all_spans` also a list `answers`, which `all_spans` may leave empty.
    """
    source, target = Path(path).expanduser(), Path(out).expanduser()
    _check(source, target)
    settings: dict[str, Any] = {**options, "top_k": top_k, "all_spans": all_spans}
    run = make_run(answerer, batch_size, settings)
    records = tables.records(source, columns or {}, answers=False, text=text)
    with _open_progress(target) as state:
        progress = _Progress(state, target, run)
        progress.resume(records, source)
        before = progress.done
        bar = Bar(tables.count(source), before) if verbose else None
        with target.open("ab") as file:
            for chunk in chunks(records):
                # A chunk is complete once the next one was read: an error cuts it short. It is
                # answered again then, so that the batches are those of an uninterrupted run.
                progress.save(file.tell())
                for rows in answer_chunk(answerer, chunk, batch_size, settings):
                    progress.write(file, rows)
                for _, example in chunk:
                    progress.add(example)
                if bar is not None:
                    bar.show(progress.done)
            progress.save(file.tell())
        if bar is not None:
            bar.end(progress.done)
    return progress.done - before, before


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


@contextlib.contextmanager
def _open_progress(target: Path) -> Iterator[sqlite3.Connection]:
    """Opens the SQLite file beside the answers, and excludes other processes until the end."""
    path = target.with_name(f"{target.name}.progress")
    try:
        with lock(target), contextlib.closing(connect(path, timeout=0)) as file:
            file.execute(
                "CREATE TABLE IF NOT EXISTS chunks "
                "(size INTEGER PRIMARY KEY, done INTEGER, questions TEXT, answers TEXT, run TEXT)"
            )
            yield file
    except sqlite3.Error as error:
        raise ValueError(
            f"`{path}` cannot be read or written: {error}. It says how far `{target.name}` is. "
            "Free some space if the disk is full, or delete both to start again."
        ) from None


class _Progress:
    """The complete chunks of a file of answers, with checksums of their questions and answers."""

    def __init__(self, file: sqlite3.Connection, target: Path, run: dict[str, Any]) -> None:
        self.file, self.target, self.run = file, target, run
        self.done = 0
        self.questions, self.answers = hashlib.sha256(), hashlib.sha256()

    def resume(self, records: Iterator[_Record], source: Path) -> None:
        """Skips the answered questions, and removes what follows the last complete chunk."""
        size = self.target.stat().st_size if self.target.exists() else 0
        if not size:
            self.file.execute("DELETE FROM chunks")
            return
        columns = "SELECT size, done, questions, answers, run FROM chunks"
        chunks = self.file.execute(f"{columns} WHERE size <= ? ORDER BY size DESC LIMIT 1", (size,))
        end, done, questions, answers, run = chunks.fetchone() or (0, 0, None, None, "{}")
        if questions is not None:
            compare_runs(self.target, json.loads(run), self.run)
        with self.target.open("rb") as file:
            for start in range(0, end, _BLOCK):
                self.answers.update(file.read(min(_BLOCK, end - start)))
            tail = file.read(len(_BEGIN))
        if self.answers.hexdigest() != answers or tail != _BEGIN[: len(tail)]:
            raise ValueError(
                f"`{self.target}` has other contents than the answers that this command wrote. "
                "Use another `out`, or delete it to start again."
            )
        for _, example in itertools.islice(records, done):
            self.add(example)
        if self.questions.hexdigest() != questions:
            raise ValueError(
                f"`{self.target}` has answers to other questions than the first {done:,} of "
                f"`{source}`. Use another `out`, or delete it to start again."
            )
        self.file.execute("DELETE FROM chunks WHERE size > ?", (end,))
        os.truncate(self.target, end)

    def add(self, example: Example) -> None:
        """Counts a question as answered."""
        self.done += 1
        facts = example.plain_text, example.question, example.id, example.choices
        self.questions.update(repr(facts).encode())

    def write(self, file: IO[bytes], rows: list[dict[str, Any]]) -> None:
        """Writes answers, each as a line."""
        content = to_lines(rows)
        self.answers.update(content)
        file.write(content)
        file.flush()
        os.fsync(file.fileno())

    def save(self, size: int) -> None:
        """Records that the first `size` bytes are complete chunks of answers."""
        sums = self.questions.hexdigest(), self.answers.hexdigest()
        row = size, self.done, *sums, json.dumps(self.run, default=int)
        self.file.execute("INSERT OR REPLACE INTO chunks VALUES (?, ?, ?, ?, ?)", row)


def to_lines(rows: list[dict[str, Any]]) -> bytes:
    """Returns answers as JSON Lines."""
    lines = [json.dumps(row, ensure_ascii=False) + "\n" for row in rows]
    # A lone surrogate can only be written as an escape.
    return "".join(lines).encode("utf-8", "backslashreplace")


def compare_runs(target: Path, before: dict[str, Any], run: dict[str, Any]) -> None:
    """Raises if the answers in `target` were begun with other settings."""
    for name in sorted(before.keys() | run.keys()):
        if before.get(name) != run.get(name):
            raise ValueError(
                f"`{target}` was begun with {name}={before.get(name)!r:.40}. Received: "
                f"{name}={run.get(name)!r:.40}. Use the same {name} or another `out`, or delete it "
                "to start again."
            )


def make_run(
    answerer: QuestionAnswerer, batch_size: int, settings: dict[str, Any]
) -> dict[str, Any]:
    """Checks the options. Returns them and the reader, which a continued run must share."""
    # Here, so that an error is not attributed to the first question.
    answerer.answer([], [], batch_size=batch_size, **settings)
    return {"reader": _checksum(answerer), "batch_size": batch_size, **settings}


def _checksum(answerer: QuestionAnswerer) -> str:
    """Returns a checksum of the settings and weights of a reader."""
    model: Any = answerer.model_
    settings = json.dumps(model.preprocessor.get_config(), sort_keys=True, default=str)
    content = settings + model.weights_checksum()
    return hashlib.sha256(content.encode()).hexdigest()[:16]


def chunks(records: Iterable[_Record]) -> Iterator[list[_Record]]:
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
    except ERRORS:
        yield chunk
        raise
    yield chunk


def answer_chunk(
    answerer: QuestionAnswerer,
    chunk: list[_Record],
    batch_size: int,
    settings: dict[str, Any],
) -> Iterator[list[dict[str, Any]]]:
    """Yields the answers to a chunk. If a record fails, yields those before it and raises."""
    if not chunk:
        return
    try:
        rows = _ask(answerer, [example for _, example in chunk], batch_size, settings)
    except ERRORS as error:
        if len(chunk) == 1:
            kind = TypeError if isinstance(error, TypeError) else ValueError
            raise kind(f"{chunk[0][0]}: {error}") from None
        for record in chunk:
            yield from answer_chunk(answerer, [record], batch_size, settings)
        return
    yield rows


def _ask(
    answerer: QuestionAnswerer,
    examples: list[Example],
    batch_size: int,
    settings: dict[str, Any],
) -> list[dict[str, Any]]:
    has_list = settings.get("all_spans") or settings.get("top_k") is not None
    if not has_list:
        settings = {**settings, "top_k": 1}
    ranked = answerer.answer(examples, batch_size=batch_size, verbose=0, **settings)
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
