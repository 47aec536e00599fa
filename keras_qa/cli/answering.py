"""`keras-qa answer`: one question about a text, or a file of them."""

from __future__ import annotations

import argparse
import pathlib
import sys
from collections.abc import Sequence

from keras_qa.answering import files, load
from keras_qa.cli import data
from keras_qa.cli.marked import marked, marks, plain
from keras_qa.example import Answer
from keras_qa.terminal import clock

NONE = "(no answer)"


def run(options: argparse.Namespace) -> None:
    """Answers a question about a text, or the questions of a file."""
    names = ("text", "question", "input", "output")
    given = tuple(name for name in names if getattr(options, name) is not None)
    if given not in (names[:2], names[2:], ("text", "input", "output")):
        raise ValueError(
            "`answer` needs --text and --question, or --input and --output. Received: "
            f"{', '.join(f'--{name}' for name in given) or 'none of them'}."
        )
    if options.input is None:
        _answer_one(options)
    else:
        _answer_file(options)


def _answer_one(options: argparse.Namespace) -> None:
    text = _read(options.text)
    answers = load(options.file).answer(
        text, options.question, top_k=1 if options.top_k is None else options.top_k
    )
    print_answers(answers, text)


def _answer_file(options: argparse.Namespace) -> None:
    columns = data.columns(options)
    text = None if options.text is None else _read(options.text)
    answerer = load(options.file)
    try:
        done = files.answer_file(
            answerer,
            options.input,
            options.output,
            columns,
            text,
            options.top_k,
            options.batch_size,
        )
    except KeyboardInterrupt:
        print("\nThe same command goes on after the last answer written.")
        raise
    before = f", {done.before:,} had been answered before" if done.before else ""
    print(
        f"Answered {done.questions:,} questions in {clock(done.seconds)}{before}. "
        f"Wrote {options.output}."
    )


def _read(name: str) -> str:
    if name == "-":
        return sys.stdin.read()
    path = pathlib.Path(name)
    if not path.is_file():
        raise ValueError(
            f"There is no text file {name!r}. Give a file, or - to read the text from standard "
            "input."
        )
    try:
        return path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"`{name}` is not UTF-8 at byte {error.start}: {error.reason}. Save it as UTF-8."
        ) from None


def print_answers(answers: Sequence[Answer], text: str | None = None) -> None:
    """Prints an answer a line, and below each the sentence that says it.

    Args:
        answers: The answers, best first.
        text: The text they are from. `None` for no sentences.
    """
    for answer in answers:
        print(f"  {answer.score:6.1%}  {plain(answer.text) or NONE}")
        if text is not None and answer.text and answer.start is not None and answer.end is not None:
            line = marked(text, answer.start, answer.end, marks(sys.stdout))
            print(f"          {line}")
