"""Argument parsing that all commands share: one-line errors, help with examples, option types."""

from __future__ import annotations

import argparse
import dataclasses
import difflib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NoReturn

from keras_qa._arguments import MAX_MESSAGE_LENGTH, shorten
from keras_qa._terminal import plain

READER_HELP = (
    "a .keras file, as `keras-qa train` saves it; or a published reader or a preset, as for "
    "`answer`"
)


@dataclasses.dataclass(frozen=True)
class Option:
    """An option that takes a value, or with `nargs` a list; the fields are those of argparse."""

    metavar: str
    help: str
    type: Callable[[str], Any] = str
    default: Any = None
    nargs: str | None = None
    choices: Sequence[str] | None = None
    action: str = "store"
    required: bool = False


# Options by their names in Python.
Options = Mapping[str, Option]


class Parser(argparse.ArgumentParser):
    """A parser whose errors are one line that names the help."""

    def error(self, message: str) -> NoReturn:
        shown = shorten(plain(message), MAX_MESSAGE_LENGTH - 100)
        self.exit(2, f"{self.prog}: error: {shown}. See {self.prog} --help.\n")


class CommandParser(Parser):
    """The parser of one command. Some of its options may be given as positional arguments."""

    _has_positionals = _is_second_call = False

    def add_positional(self, option: str, metavar: str, help: str) -> None:
        """Lets an option be given as a positional argument, too. `given_once` returns its value."""
        self._has_positionals = True
        self.add_argument(f"positional_{option}", metavar=metavar, nargs="?", help=help)

    def parse_known_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> Any:
        if self._is_second_call:
            return super().parse_known_args(args, namespace)
        # `ArgumentParser` accepts no options between optional positional arguments.
        # `parse_known_intermixed_args` does, and calls this method again.
        self._is_second_call = True
        try:
            parse = (
                self.parse_known_intermixed_args
                if self._has_positionals
                else super().parse_known_args
            )
            parsed, unknown = parse(args, namespace)
        finally:
            self._is_second_call = False
        if unknown:
            options = re.findall(r"--[\w-]+", self.format_help())
            near = difflib.get_close_matches(unknown[0].partition("=")[0], options, 1)
            advice = f". The nearest option is {near[0]}" if near else ""
            self.error(f"unrecognized arguments: {shorten(' '.join(unknown))}{advice}")
        return parsed, unknown


def option_name(name: str) -> str:
    """Returns an option by its name in Python: `"--top-k"` for `"top_k"`."""
    return f"--{name.replace('_', '-')}"


def add_options(parser: argparse._ActionsContainer, options: Options) -> None:
    """Adds options by their names."""
    for name, option in options.items():
        parser.add_argument(option_name(name), **vars(option))


def given_options(options: argparse.Namespace, names: Iterable[str]) -> dict[str, Any]:
    """Returns the options of these names that were given."""
    return {name: value for name in names if (value := getattr(options, name)) is not None}


def given_once(options: argparse.Namespace, option: str) -> str | None:
    """The value of an option that may also be a positional argument, or `None`."""
    value: str | None = getattr(options, option)
    positional: str | None = getattr(options, f"positional_{option}")
    if value is not None and positional is not None:
        raise ValueError(
            f"The {option} must be given once. Received: {positional!r:.80}, and "
            f"--{option} {value!r:.80}."
        )
    return value if positional is None else positional


def positive(value: str) -> int:
    """The type of an option that takes a positive integer."""
    if value.isdecimal() and int(value):
        return int(value)
    raise argparse.ArgumentTypeError(f"must be a positive integer. Received: {value!r}")


def yes_or_no(value: str) -> bool:
    """The type of an option that takes yes or no."""
    if value in ("yes", "no"):
        return value == "yes"
    raise argparse.ArgumentTypeError(f"must be yes or no. Received: {value!r}")
