"""Options as all commands have them: errors in one line, help with examples, old spellings."""

from __future__ import annotations

import argparse
from typing import NoReturn

from keras_qa.terminal import plain


class Formatter(argparse.RawDescriptionHelpFormatter):
    """Keeps the lines of the examples that stand below the options."""


class Parser(argparse.ArgumentParser):
    """A parser that says in one line what is wrong, and where help is."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: error: {plain(message)}. See {self.prog} --help.\n")


def positive(value: str) -> int:
    """The type of an option that takes a number from 1 on.

    Args:
        value: What was given.

    Returns:
        The number.

    Raises:
        argparse.ArgumentTypeError: If it is none.
    """
    if value.isdecimal() and int(value):
        return int(value)
    raise argparse.ArgumentTypeError(f"must be a positive integer. Received: {value!r}")


def yes_or_no(value: str) -> bool:
    """The type of an option that is on, off, or left as it is.

    Args:
        value: What was given.

    Returns:
        Whether it is on.

    Raises:
        argparse.ArgumentTypeError: If it is neither yes nor no.
    """
    if value in ("yes", "no"):
        return value == "yes"
    raise argparse.ArgumentTypeError(f"must be yes or no. Received: {value!r}")


def add_old_spelling(
    parser: argparse.ArgumentParser, spelling: str, action: argparse.Action
) -> None:
    """Takes an option by an old spelling, too, which help does not show.

    Args:
        parser: The parser of the option.
        spelling: The old spelling.
        action: What `add_argument` gave for the option. It keeps one value or a list of them.

    Examples:
        >>> from keras_qa.cli.options import Parser, add_old_spelling
        >>> parser = Parser(prog="paint")
        >>> add_old_spelling(parser, "--color", parser.add_argument("--colour", default="red"))
        >>> parser.parse_args(["--color", "blue"]).colour
        'blue'
        >>> "--color" in parser.format_help()
        False
    """
    parser.add_argument(
        spelling,
        dest=action.dest,
        type=action.type or str,
        nargs=action.nargs,
        help=argparse.SUPPRESS,
    )
