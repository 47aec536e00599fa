"""The data that commands name: bAbI, simulated stories, or a file."""

from __future__ import annotations

import argparse
import warnings

from keras_qa.cli.output import say
from keras_qa.datasets import babi, question_files
from keras_qa.example import Example

# What a column of a file may hold: the arguments of `datasets.tables.load`.
COLUMNS = ("text", "question", "answers", "answer_start", "choices", "id", "document")


def add_arguments(parser: argparse.ArgumentParser) -> argparse._ArgumentGroup:
    """Adds the options that name data.

    Returns:
        The group of those about stories, for further ones.
    """
    group = parser.add_argument_group("the data")
    group.add_argument(
        "--data",
        required=True,
        help="a .csv, .tsv, .jsonl or .parquet file, SQuAD's .json, babi, or simulated (stories "
        f"like bAbI's, tasks {', '.join(map(str, babi.SIMULATED_TASKS))})",
    )
    add_columns(group)
    group.add_argument(
        "--lenient",
        action="store_true",
        help="leave out questions whose answer is not where answer_start says, and count them",
    )
    stories = parser.add_argument_group("for --data babi and --data simulated")
    stories.add_argument(
        "--task", type=_task, default=1, help="from 1 to 20, or all (default: %(default)s)"
    )
    stories.add_argument(
        "--path", help="archive or folder of bAbI (default: the archive is downloaded)"
    )
    stories.add_argument(
        "--variant",
        default="en-valid-10k",
        metavar="FOLDER",
        help="folder of the archive (default: %(default)s)",
    )
    stories.add_argument(
        "--examples",
        type=int,
        default=1_000,
        metavar="N",
        help="questions to simulate (default: %(default)s)",
    )
    return stories


def add_columns(parser: argparse._ActionsContainer) -> None:
    """Adds the option that names columns of a file."""
    parser.add_argument(
        "--columns",
        default="",
        metavar="text=NAME,question=NAME,...",
        help="columns of a file, where they are not named text (or context), question, answers "
        "(or answer), answer_start, id and document",
    )


def _task(value: str) -> int | str:
    if value == "all" or value.isdecimal():
        return value if value == "all" else int(value)
    raise argparse.ArgumentTypeError(f"must be from 1 to 20, or all. Received: {value!r}")


def tasks(options: argparse.Namespace) -> list[int]:
    """The bAbI tasks that were named."""
    if options.task != "all":
        return [options.task]
    return list(babi.SIMULATED_TASKS if options.data == "simulated" else range(1, 21))


def examples(options: argparse.Namespace, split: str) -> list[Example]:
    """The examples that were named, of one part where the data has several."""
    if options.data == "babi":
        parts = [babi.load(task, split, options.path, options.variant) for task in tasks(options)]
    elif options.data == "simulated":
        seed = babi.SEEDS[split]
        count = options.examples if split != "valid" else max(200, options.examples // 10)
        parts = [babi.simulate(task, count, seed) for task in tasks(options)]
    else:
        return from_file(options.data, options)
    return [example for part in parts for example in part]


def from_file(path: str, options: argparse.Namespace) -> list[Example]:
    """The examples of a file."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = question_files.load(path, columns(options), strict=not options.lenient)
    for warning in caught:
        say(str(warning.message))
    return found


def columns(options: argparse.Namespace) -> dict[str, str]:
    """The names of columns that were given."""
    pairs = [pair.split("=", 1) for pair in options.columns.split(",") if pair]
    if any(len(pair) != 2 or pair[0] not in COLUMNS for pair in pairs):
        raise ValueError(
            "`--columns` must look like text=NAME,question=NAME, with any of "
            f"{', '.join(COLUMNS)} on the left. Received: {options.columns!r}."
        )
    return dict(pairs)


def training_parts(
    options: argparse.Namespace,
) -> tuple[list[Example], list[Example], dict[str, object]]:
    """Examples to train and to validate on, and what results say of them."""
    about: dict[str, object] = {"data": options.data, "task": None, "variant": None, "simulated": 0}
    if options.data == "babi":
        parts = babi.load_tasks(
            tasks(options), options.path, options.variant, options.simulate, options.seed
        )
        for note in parts.notes:
            say(note)
        train, valid = parts.train, parts.valid
        about.update(task=options.task, variant=options.variant, simulated=parts.simulated)
    else:
        train, valid = examples(options, "train"), []
        if options.data == "simulated":
            valid = examples(options, "valid")
            about.update(task=options.task, simulated=len(train) + len(valid))
    if options.validation_data:
        valid = from_file(options.validation_data, options)
    return train, valid, about
