"""Argument parsing that all commands share: one-line errors, help with examples, option types."""

from __future__ import annotations

import argparse
import dataclasses
import difflib
import math
import os
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
    """A parser whose errors are one line that names the help, and the nearest name."""

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        try:
            super()._check_value(action, value)
        except argparse.ArgumentError as error:
            error.message += _nearest(value, action.choices or (), ". The nearest name is")
            raise

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
            # The values after an unknown option may be arguments that are known.
            wrong = [value for value in unknown if value.startswith("-")][:1] or unknown
            advice = _nearest(wrong[0].partition("=")[0], options, ". The nearest option is")
            self.error(f"unrecognized arguments: {shorten(' '.join(wrong))}{advice}")
        return parsed, unknown


def _nearest(value: object, names: Iterable[str], advice: str) -> str:
    near = difflib.get_close_matches(str(value), list(names), 1)
    return f"{advice} {near[0]}" if near else ""


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


def whole(value: str) -> int:
    """The type of an option that takes a positive integer or 0."""
    if value.isdecimal():
        return int(value)
    raise argparse.ArgumentTypeError(f"must be 0 or a positive integer. Received: {value!r}")


def share(value: str) -> float:
    """The type of an option that takes a number from 0 to 1."""
    return _number(value, lambda number: 0 <= number <= 1, "a number from 0 to 1")


def amount(value: str) -> float:
    """The type of an option that takes a number, 0 or more."""
    return _number(value, lambda number: 0 <= number < math.inf, "a number, 0 or more")


def _number(value: str, is_right: Callable[[float], bool], kind: str) -> float:
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    if is_right(number):
        return number
    raise argparse.ArgumentTypeError(f"must be {kind}. Received: {value!r}")


def keras_file(value: str) -> str:
    """The type of an option that names a `.keras` file to write, in a folder that exists."""
    path = os.path.expanduser(value)
    if not path.endswith(".keras"):
        raise argparse.ArgumentTypeError(f"must end in .keras. Received: {value!r}")
    if os.path.isdir(path) or not os.path.isdir(os.path.dirname(path) or "."):
        raise argparse.ArgumentTypeError(f"must be a file in an existing folder: {value!r}")
    return value


def yes_or_no(value: str) -> bool:
    """The type of an option that takes yes or no."""
    if value in ("yes", "no"):
        return value == "yes"
    raise argparse.ArgumentTypeError(f"must be yes or no. Received: {value!r}")
