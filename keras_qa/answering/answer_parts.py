"""Answers to files of questions in parts, which several processes write."""

from __future__ import annotations

import contextlib
import glob
import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from keras_qa import _backend
from keras_qa._arguments import read_object
from keras_qa.answering.answer_file import (
    ERRORS,
    answer_chunk,
    chunks,
    compare_runs,
    make_run,
    to_lines,
)
from keras_qa.answering.answerer import QuestionAnswerer
from keras_qa.answering.opening import needs_backend, use_backend
from keras_qa.data import rows, tables
from keras_qa.data.files import replace_atomically
from keras_qa.data.sqlite import lock

SUFFIXES = (".jsonl", ".parquet")

# Settings of the run and checksums of the questions. Readers of folders ignore files with `_`.
_RUN = "_run.json"


class Part(NamedTuple):
    """A block of a file of questions, and the file for its answers."""

    source: str
    target: str
    block: rows.Block


@contextlib.contextmanager
def lock_folder(out: str | os.PathLike[str]) -> Iterator[None]:
    """Excludes other processes that write answers to a folder, which need not exist."""
    folder = Path(out).expanduser()
    folder.absolute().parent.mkdir(parents=True, exist_ok=True)
    with lock(folder):
        yield


class PartPlan:
    """The parts of files of questions, and which of them have answers.

    Each file is divided into blocks of `size` questions. The answers to block 3 of `a.parquet` are
    in `a-00003.parquet` in the folder `out`, so that the same call later writes the same files.
    """

    def __init__(
        self,
        reader: str,
        path: str,
        out: str | os.PathLike[str],
        columns: Mapping[str, str],
        text: str | None = None,
        batch_size: int = 32,
        size: int = 1_000,
        **settings: object,
    ) -> None:
        folder = Path(out).expanduser().resolve()
        sources = _sources(path)
        local = os.path.expanduser(reader)
        reader = os.path.abspath(local) if os.path.exists(local) else reader
        answerer = QuestionAnswerer.from_preset(reader, compile=False)
        run = make_run(answerer, batch_size, settings)
        run |= {"columns": dict(columns), "size": size, "text": text and _checksum(text.encode())}
        for source in sources:
            # Report a missing column before the work begins.
            next(tables.records(source, columns, answers=False, text=text), None)
        folder.mkdir(parents=True, exist_ok=True)
        _continue_run(folder, run, {source.name: _file_checksum(source) for source in sources})
        self.folder = folder
        # Those of `PartWriter`, which computes on the backend of this process.
        backend = _backend.configured() if needs_backend(reader) else None
        self.arguments = (reader, backend, columns, text, batch_size, settings)
        self.parts = [
            Part(str(source), str(folder / f"{source.stem}-{number:05}{source.suffix}"), block)
            for source in sources
            for number, block in enumerate(rows.split(source, size))
        ]

    def missing(self) -> list[Part]:
        """Returns the parts without answers."""
        return [part for part in self.parts if not os.path.exists(part.target)]

    def clean(self) -> None:
        """Deletes what killed processes have left."""
        for path in self.folder.glob(".*.partial.*"):
            path.unlink(missing_ok=True)


class PartWriter:
    """Answers parts and writes each at once, so that one that is answered again is written once."""

    def __init__(
        self,
        reader: str,
        backend: str | None,
        columns: Mapping[str, str],
        text: str | None,
        batch_size: int,
        settings: dict[str, Any],
    ) -> None:
        use_backend(backend, reader)
        self.answerer = QuestionAnswerer.from_preset(reader, compile=False)
        self.columns, self.text = columns, text
        self.batch_size, self.settings = batch_size, settings

    def write(self, part: Part) -> tuple[int, str]:
        """Answers a part. Returns the number of its questions, and the error or an empty string."""
        records = tables.records(
            part.source, self.columns, answers=False, text=self.text, block=part.block
        )
        answers: list[dict[str, Any]] = []
        try:
            for chunk in chunks(records):
                for some in answer_chunk(self.answerer, chunk, self.batch_size, self.settings):
                    answers += some
            if len(answers) != part.block.rows:
                raise ValueError(f"`{part.source}` has changed since the command began.")
            with replace_atomically(part.target) as partial:
                _write(partial, answers)
        except ERRORS as error:
            return 0, str(error)
        return len(answers), ""


def _sources(pattern: str) -> list[Path]:
    names = sorted(glob.glob(os.path.expanduser(pattern), recursive=True))
    if not names:
        raise FileNotFoundError(f"No file matches {pattern!r:.200}.")
    sources: dict[str, Path] = {}
    for name in names:
        source = Path(name).resolve()
        if source.suffix.lower() not in SUFFIXES:
            expected = " or ".join(SUFFIXES)
            raise ValueError(f"`path` must match {expected} files. Received: {name!r:.150}.")
        if source.name in sources:
            raise ValueError(
                f"`path` must match files with different names. Received two {source.name!r:.80}. "
                "Rename one, or answer each folder by itself."
            )
        sources[source.name] = source
    return list(sources.values())


def _continue_run(folder: Path, run: dict[str, Any], questions: dict[str, str]) -> None:
    """Compares settings and questions with those of the run that began the answers."""
    path = folder / _RUN
    run = json.loads(json.dumps(run, default=int))
    before = read_object(path) if path.exists() else {"run": run, "questions": {}}
    compare_runs(folder, before["run"], run)
    earlier = before["questions"]
    changed = [name for name in questions if earlier.get(name, questions[name]) != questions[name]]
    if changed:
        raise ValueError(
            f"`{folder}` has answers to other questions of `{changed[0]}` than the file has now. "
            "Use another `out`, or delete it to start again."
        )
    with replace_atomically(path) as partial:
        partial.write_text(json.dumps({"run": run, "questions": {**earlier, **questions}}))


def _checksum(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]


def _file_checksum(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]


def _write(path: Path, answers: list[dict[str, Any]]) -> None:
    if path.suffix.lower() == ".jsonl":
        path.write_bytes(to_lines(answers))
        return
    import pyarrow
    import pyarrow.parquet

    # A part without a single answer must have the same types.
    fields = [("score", pyarrow.float64()), ("start", pyarrow.int64()), ("end", pyarrow.int64())]
    texts = [(name, pyarrow.string()) for name in ("id", "question", "answer")]
    spans = pyarrow.list_(pyarrow.struct([("text", pyarrow.string()), *fields]))
    has_list = bool(answers) and "answers" in answers[0]
    schema = pyarrow.schema([*texts, *fields, *([("answers", spans)] if has_list else [])])
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(answers, schema), path)
