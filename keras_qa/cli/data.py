"""The data of the commands: examples from bAbI, a simulation or a file; the text of `answer`."""

from __future__ import annotations

import argparse
import errno
import os
import re
import stat
import sys
import warnings
from collections.abc import Sequence

from keras_qa.cli.output import say
from keras_qa.cli.parsing import Option, Options, add_options, positive
from keras_qa.data import babi, tables
from keras_qa.data.babi_simulator import SIMULATED_TASKS
from keras_qa.example import Example

# Values of `--data` that are not files.
STORIES = ("babi", "simulated")

_TEXT_SOURCES = "Give a file, - to read standard input, or the text itself in quotes"

# Errors of `os.stat` for a name that no file has.
_NO_FILE = {errno.ENOENT, errno.ENOTDIR, errno.EINVAL}


def _task(value: str) -> int | str:
    if value == "all" or (value.isdecimal() and 1 <= int(value) <= 20):
        return value if value == "all" else int(value)
    raise argparse.ArgumentTypeError(f"must be from 1 to 20, or all. Received: {value!r}")


DATA = Option(
    "DATA",
    "one or more files: .csv, .tsv, .jsonl, .parquet or SQuAD's .json; or babi; or simulated "
    f"(stories like bAbI's, tasks {', '.join(map(str, SIMULATED_TASKS))})",
    nargs="+",
    action="extend",
    required=True,
)
COLUMNS: Options = {
    "columns": Option(
        "text=NAME,question=NAME,...",
        "columns of a file whose names are not text (or context, passage), question, answers (or "
        "answer), answer_start, id, document, source and all_spans",
        default="",
    )
}
STORY_OPTIONS: Options = {
    "task": Option("TASK", "from 1 to 20, or all (default: %(default)s)", _task, 1),
    "path": Option("PATH", "archive or folder of bAbI (default: it is downloaded)"),
    "variant": Option("FOLDER", "of the archive (default: %(default)s)", default="en-valid-10k"),
    "examples": Option("N", "questions to simulate (default: %(default)s)", positive, 1_000),
}


def add_arguments(parser: argparse.ArgumentParser, more: Options) -> None:
    """Adds the options for examples, and `more` options for stories."""
    group = parser.add_argument_group("the data")
    add_options(group, {"data": DATA, **COLUMNS})
    group.add_argument(
        "--lenient",
        action="store_true",
        help="skip questions whose answer is not at answer_start, and report their number",
    )
    stories = parser.add_argument_group("for --data babi and --data simulated")
    add_options(stories, {**STORY_OPTIONS, **more})


def tasks(options: argparse.Namespace) -> list[int]:
    """Returns the bAbI tasks of `--task`."""
    if options.task != "all":
        return [options.task]
    return list(SIMULATED_TASKS if options.data == ["simulated"] else range(1, 21))


def examples(options: argparse.Namespace, split: str) -> list[Example]:
    """Returns the examples of `--data`; `split` is the part of bAbI or of the simulation."""
    if options.data == ["babi"]:
        parts = [babi.load(task, split, options.path, options.variant) for task in tasks(options)]
    elif options.data == ["simulated"]:
        first = babi.SEEDS[split]
        count = options.examples if split != "valid" else max(200, options.examples // 10)
        parts = [babi.simulate(task, count, first) for task in tasks(options)]
    else:
        return from_files(options.data, options)
    return [example for part in parts for example in part]


def check_files(
    values: Sequence[str],
    options: argparse.Namespace,
    answers: bool = True,
    text: str | None = None,
) -> None:
    """Checks the names of files of examples, and the columns of tables; it needs no Keras.

    `text` replaces the texts of the files.
    """
    if list(values) in [[name] for name in STORIES]:
        return
    _check_stories(values)
    for path in values:
        if not os.path.isfile(os.path.expanduser(path)):
            raise FileNotFoundError(f"There is no file {path!r}.")
        if not path.lower().endswith(".json"):
            # Reading the first row checks the columns.
            next(tables.records(path, columns(options), answers, text), None)


def _check_stories(values: Sequence[str]) -> None:
    for path in STORIES:
        if path in values:
            raise ValueError(
                f"`{path}` must be the only value of `--data`. Received: {' '.join(values):.100}."
            )


def from_files(values: Sequence[str], options: argparse.Namespace) -> list[Example]:
    """Returns the examples of files, in order."""
    _check_stories(values)
    return [example for path in values for example in from_file(path, options)]


def from_file(path: str, options: argparse.Namespace, has_answers: bool = True) -> list[Example]:
    """Returns the examples of a file, with their answers or without, and prints its warnings."""
    if not has_answers:
        return [example for _, example in tables.records(path, columns(options), answers=False)]
    if isinstance(getattr(options, "index", None), str):
        # `train --index`: the passages are found later.
        return tables.load_questions(path, **columns(options))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        examples = tables.load(path, strict=not options.lenient, **columns(options))
    for warning in caught:
        say(str(warning.message))
    return examples


def columns(options: argparse.Namespace) -> dict[str, str]:
    """Returns the column names of `--columns`."""
    pairs = [pair.split("=", 1) for pair in options.columns.split(",") if pair]
    if any(len(pair) != 2 or pair[0] not in tables.FIELDS for pair in pairs):
        raise ValueError(
            "`--columns` must look like text=NAME,question=NAME, with any of "
            f"{', '.join(tables.FIELDS)} on the left. Received: {options.columns!r}."
        )
    return dict(pairs)


def training_parts(
    options: argparse.Namespace,
) -> tuple[list[Example], list[Example], dict[str, object]]:
    """Returns training examples, validation examples, and facts about them for `--results`."""
    data = ", ".join(options.data)
    about: dict[str, object] = {"data": data, "task": None, "variant": None, "simulated": 0}
    if options.data == ["babi"]:
        parts = babi.load_tasks(
            tasks(options), options.path, options.variant, options.simulate, options.seed
        )
        for note in parts.notes:
            say(note)
        train, valid = parts.train, parts.valid
        about.update(task=options.task, variant=options.variant, simulated=parts.simulated)
    else:
        train, valid = examples(options, "train"), []
        if options.data == ["simulated"]:
            valid = examples(options, "valid")
            about.update(task=options.task, simulated=len(train) + len(valid))
    if options.validation_data:
        valid = from_files(options.validation_data, options)
    return train, valid, about


def read_text(source: str) -> str:
    """Reads the text to ask about.

    `source` is a file in UTF-8, or `-` for standard input. If no such file exists, and `source` is
    empty, contains white space or is too long for a file name, it is the text itself.
    """
    if source == "-":
        return _standard_input()
    path = os.path.expanduser(source)
    try:
        mode = os.stat(path).st_mode
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            return source
        if error.errno not in _NO_FILE:
            raise
        return _text_itself(source)
    if stat.S_ISDIR(mode):
        raise ValueError(
            f"{source!r} is a folder: `keras-qa ask` answers from one. {_TEXT_SOURCES}."
        )
    with open(path, "rb") as file:
        return _decoded(file.read(), source)


def _text_itself(source: str) -> str:
    if source and not re.search(r"\s", source):
        raise ValueError(
            f"There is no text file {source!r}, and without a space it is no text. {_TEXT_SOURCES}."
        )
    if re.search(r"^[^\n]*\.\w{1,5}$", source):
        say(f"keras-qa: there is no file {source!r}, so this is taken as the text.", error=True)
    return source


def _standard_input() -> str:
    if sys.stdin is None:
        raise ValueError("- reads the text from standard input, which is closed. Give a file.")
    if sys.stdin.isatty():
        end = "Ctrl-Z and Enter" if os.name == "nt" else "Ctrl-D on a line of its own"
        say(f"keras-qa: type or paste the text, then press {end}.", error=True)
    return _decoded(sys.stdin.buffer.read(), "standard input")


def _decoded(raw: bytes, name: str) -> str:
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"`{name}` is not UTF-8 at byte {error.start}: {error.reason}. Save it as UTF-8."
        ) from None
