"""`keras-qa distill`: a larger reader teaches a smaller one."""

from __future__ import annotations

import argparse
from typing import Any

from keras_qa.answering.opening import check_names
from keras_qa.cli import data
from keras_qa.cli.interrupts import advise_after_interrupt
from keras_qa.cli.output import Results, print_scores, say, say_warnings, show_epochs
from keras_qa.cli.parsing import (
    Option,
    Options,
    add_options,
    amount,
    given_options,
    keras_file,
    positive,
    share,
)

HELP = "train a reader on the outputs of a larger one"
USAGE = "%(prog)s --teacher READER --student READER --texts FILE --output FILE.keras [options]"
EPILOG = """\
example:
  keras-qa distill --teacher hf://deepset/roberta-base-squad2 --student minilm-squad \\
      --data labelled.json --texts questions.csv --validation-data dev.json \\
      --outputs teacher/ --output small.keras
"""

READERS: Options = {
    "teacher": Option("READER", "the larger reader: what `keras-qa answer` takes", required=True),
    "student": Option("READER", "the reader to train, or an encoder: minilm", required=True),
    "output": Option("FILE.keras", "file to save the student to", keras_file, required=True),
    "data": Option("FILE", "one or more files of questions with answers", nargs="+"),
    "texts": Option("FILE", "files of questions whose answers are ignored", nargs="+"),
    "validation_data": Option("FILE", "files of questions that choose the epoch", nargs="+"),
    "outputs": Option("FOLDER", "keep the outputs of the teacher here, for other runs"),
    "seed": Option("N", "the seed (default: %(default)s)", int, 0),
}
SETTINGS: Options = {
    "temperature": Option("T", "divides the logits of both (default: %(default)s)", amount, 2.0),
    "weight": Option(
        "SHARE", "share of the teacher in the loss (default: %(default)s)", share, 0.7
    ),
    "lora_rank": Option("N", "train LoRA of this rank instead of all weights", positive),
}
RECIPE: Options = {
    "epochs": Option("N", "number of epochs", positive),
    "steps_per_epoch": Option("N", "steps in an epoch, if not a pass over the data", positive),
    "batch_size": Option("N", "windows per step", positive),
    "learning_rate": Option("RATE", "the highest learning rate", amount),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of the command."""
    add_options(parser, {**READERS, **SETTINGS, **data.COLUMNS})
    parser.add_argument("--resume", action="store_true", help="continue an interrupted run")
    parser.add_argument(
        "--lenient", action="store_true", help="leave out questions whose answer has no place"
    )
    add_options(parser.add_argument_group("how long and how fast to train"), RECIPE)


def check(options: argparse.Namespace) -> None:
    """Checks the files of questions, and the readers."""
    for values in (options.data, options.validation_data):
        data.check_files(values or [], options)
    data.check_files(options.texts or [], options, answers=False)
    check_names(options.teacher, options.student)


def run(options: argparse.Namespace, results: Results) -> None:
    """Trains the student and saves it."""
    from keras_qa.training import distill

    parts: dict[str, list[Any]] = {
        name: data.from_files(getattr(options, name) or [], options)
        for name in ("data", "validation_data")
    }
    texts = [
        item
        for path in options.texts or []
        for item in data.from_file(path, options, has_answers=False)
    ]
    say(f"{len(parts['data']):,} questions with answers, {len(texts):,} without.")
    advice = "The same command with --resume continues after the last complete epoch."
    with advise_after_interrupt(advice), say_warnings():
        answerer = distill(
            options.teacher,
            options.student,
            parts["data"],
            texts,
            parts["validation_data"] or None,
            recipe=given_options(options, RECIPE),
            out=options.output,
            resume=options.resume,
            **given_options(options, SETTINGS),
            outputs=options.outputs,
            seed=options.seed,
            verbose=show_epochs(),
            lenient=options.lenient,
        )
    scores = None
    if parts["validation_data"]:
        scores = answerer.evaluate(parts["validation_data"], verbose=0)
        print_scores(scores)
    say(f"Saved {options.output}.")
    results.add(output=options.output, scores=scores)
