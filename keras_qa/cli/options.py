"""Arguments that all commands share: errors in one line, help with examples, old spellings."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any, NoReturn

from keras_qa.terminal import plain

# The preset that reads documents if no other reader is named.
DEFAULT_READER = "minilm-squad-small"


class Formatter(argparse.RawDescriptionHelpFormatter):
    """Keeps the lines of the examples that stand below the options."""


class Parser(argparse.ArgumentParser):
    """A parser that says in one line what is wrong, and where help is."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: error: {plain(message)}. See {self.prog} --help.\n")


class CommandParser(Parser):
    """The parser of a command, in which users may leave out the names of some options."""

    _has_positionals = _is_second_call = False

    def add_positional(self, option: str, metavar: str, help: str) -> None:
        """Takes an option's value as a positional argument, too. `given_once` returns it.

        Args:
            option: The option's name, without dashes.
            metavar: The name of the argument in the help.
            help: What it is.
        """
        self._has_positionals = True
        self.add_argument(f"positional_{option}", metavar=metavar, nargs="?", help=help)

    def parse_known_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> Any:
        # `ArgumentParser` takes no options between arguments that may be left out. The method that
        # does calls this one again.
        if self._is_second_call or not self._has_positionals:
            return super().parse_known_args(args, namespace)
        self._is_second_call = True
        try:
            return self.parse_known_intermixed_args(args, namespace)
        finally:
            self._is_second_call = False


def given_once(options: argparse.Namespace, option: str) -> str | None:
    """The value of an option, which may be given as a positional argument.

    Args:
        options: The parsed options.
        option: The option's name, without dashes.

    Returns:
        The value, or `None` if it is not given.

    Raises:
        ValueError: If it is given in both ways.
    """
    value: str | None = getattr(options, option)
    positional: str | None = getattr(options, f"positional_{option}")
    if value is not None and positional is not None:
        raise ValueError(
            f"The {option} must be given once. Received: {positional!r:.80}, and "
            f"--{option} {value!r:.80}."
        )
    return value if positional is None else positional


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
