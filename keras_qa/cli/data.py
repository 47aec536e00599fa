"""The data that commands name: bAbI, simulated stories, or a file."""

from __future__ import annotations

import argparse
import warnings
from typing import Any

from keras_qa.datasets import babi, question_files
from keras_qa.example import Example


def tasks(options: argparse.Namespace) -> list[int]:
    """The bAbI tasks that were named."""
    if options.task != "all":
        return [options.task]
    return list(babi.SIMULATED if options.data == "simulated" else range(1, 21))


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
        print(warning.message)
    return found


def columns(options: argparse.Namespace) -> dict[str, str]:
    """The names of columns that were given."""
    pairs = [pair.split("=", 1) for pair in options.columns.split(",") if pair]
    if any(len(pair) != 2 for pair in pairs):
        raise ValueError(
            f"`--columns` must look like text=NAME,question=NAME. Received: {options.columns!r}."
        )
    return dict(pairs)


def training_parts(
    options: argparse.Namespace,
) -> tuple[list[Example], list[Example], dict[str, Any]]:
    """Examples to train and to validate on, and what results say of them."""
    about = {"data": options.data, "task": None, "variant": None, "simulated": 0}
    if options.data == "babi":
        parts = babi.load_tasks(
            tasks(options), options.path, options.variant, options.simulate, options.seed
        )
        for note in parts.notes:
            print(note)
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
