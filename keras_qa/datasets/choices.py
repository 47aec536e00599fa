"""Data sets of multiple-choice questions in their published files: RACE, ARC and SWAG."""

from __future__ import annotations

import dataclasses
import string
from collections.abc import Sequence
from pathlib import Path

from keras_qa.example import Example
from keras_qa.files.json_files import read_field, read_object
from keras_qa.files.table_files import csv_rows, jsonl_rows

LETTERS = string.ascii_uppercase
_ENDINGS = ("ending0", "ending1", "ending2", "ending3")


def load_race(path: str | Path) -> list[Example]:
    """Reads RACE (Lai et al. 2017, arXiv:1704.04683): questions of English exams.

    Args:
        path: A folder, such as `RACE/train` or `RACE/train/high`, with files such as `1.txt`; or
            one of them.

    Returns:
        A list of `Example` objects with `choices` and the right one in `answers`.

    Raises:
        FileNotFoundError: If `path` does not exist, or has no such files.
        ValueError: If a file has another layout.
    """
    folder = Path(path).expanduser()
    files = sorted(folder.rglob("*.txt")) if folder.is_dir() else [_existing(folder)]
    if not files:
        raise FileNotFoundError(f"`path` must have files of RACE. Received: path={str(path)!r}.")
    examples = []
    for file in files:
        place, found = f"`{file}`", read_object(file)
        text = read_field(place, found, "article", str)
        parts = [read_field(place, found, name, list) for name in ("questions", "options")]
        letters = found.get("answers", [None] * len(parts[0]))
        if not isinstance(letters, list) or len({len(letters), *map(len, parts)}) > 1:
            raise ValueError(f"{place}: expected as many `options` and `answers` as `questions`.")
        for number, (question, choices, letter) in enumerate(zip(*parts, letters, strict=True)):
            where, id = f"{place}, question {number}", f"{file.parent.name}.{file.stem}.{number}"
            examples.append(_example(where, text, question, choices, letter, LETTERS, id))
    return examples


def load_arc(path: str | Path) -> list[Example]:
    """Reads ARC (Clark et al. 2018, arXiv:1803.05457): questions of science exams without texts.

    Args:
        path: A file such as `ARC-Challenge-Train.jsonl`.

    Returns:
        As `load_race`, with an empty `text`.

    Raises:
        FileNotFoundError: As `load_race`.
        ValueError: As `load_race`.
    """
    examples = []
    for place, row in jsonl_rows(_existing(path)):
        question = read_field(place, row, "question", dict)
        stem = read_field(place, question, "stem", str)
        given = read_field(place, question, "choices", list)
        choices = [read_field(place, choice, "text", str) for choice in given]
        labels = [read_field(place, choice, "label", str) for choice in given]
        right = row.get("answerKey")
        examples.append(_example(place, "", stem, choices, right, labels, row.get("id")))
    return examples


def load_swag(path: str | Path) -> list[Example]:
    """Reads SWAG (Zellers et al. 2018, arXiv:1808.05326): how a description of a video goes on.

    Args:
        path: A file such as `train.csv`.

    Returns:
        As `load_race`. The `text` is the first sentence, and the `question` the start of the second
        one, which the choices complete.

    Raises:
        FileNotFoundError: As `load_race`.
        ValueError: As `load_race`.
    """
    columns = {"text": "sent1", "question": "sent2", "choices": _ENDINGS}
    examples = []
    for place, row in csv_rows(_existing(path), ",", columns):
        choices = [row[name] or "" for name in _ENDINGS]
        label, name = row.get("label") or None, row.get("video-id")
        examples.append(_example(place, row["sent1"], row["sent2"], choices, label, "0123", name))
    return examples


def _existing(path: str | Path) -> Path:
    file = Path(path).expanduser()
    if not file.is_file():
        raise FileNotFoundError(f"`path` must be a file. Received: path={str(path)!r}.")
    return file


def _example(
    place: str,
    text: str,
    question: str,
    choices: list[str],
    right: str | None,
    labels: Sequence[str],
    id: str | None,
) -> Example:
    """Returns an example, whose right choice is given by its label. `None` if it is not known."""
    try:
        example = Example(text, question, choices=tuple(choices), id=id)
    except TypeError as error:
        raise ValueError(f"{place}: {error}") from None
    if right is None:
        return example
    known = list(labels[: len(choices)])
    if right not in known:
        raise ValueError(
            f"{place}: the right answer must be one of {', '.join(known)}. Received: {right!r:.80}."
        )
    return dataclasses.replace(example, answers=(choices[known.index(right)],))
