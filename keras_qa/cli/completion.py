"""`keras-qa completion`: prints a script that completes commands and options in a shell."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping

from keras_qa.cli.output import Results, say

MODELS = ()
HAS_RESULTS = False
HELP = "print a script that completes commands, options and files in a shell"
USAGE = "%(prog)s bash|zsh|fish"
EPILOG = """\
examples:
  keras-qa completion bash > ~/.local/share/bash-completion/completions/keras-qa
  keras-qa completion zsh > ~/.zfunc/_keras-qa
  keras-qa completion fish > ~/.config/fish/completions/keras-qa.fish
"""
SHELLS = ("bash", "zsh", "fish")

# Arguments that may be files, by their name in the help.
_FILES = ("FILE", "FOLDER", "READER", "RANKER", "ENCODER", "DATA", "DIR", "PATH", "TEXT", "ANSWER")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of the command."""
    parser.add_argument("shell", choices=SHELLS, help="the shell")


def run(options: argparse.Namespace, results: Results) -> None:
    """Prints the script of the shell."""
    from keras_qa.cli import parser

    try:
        import shtab
    except ImportError:
        raise ImportError(
            '`keras-qa completion` needs shtab. Install it: `pip install "keras-qa[completion]"`.'
        ) from None

    main_parser = parser()
    for action in _actions(main_parser):
        if any(name in str(action.metavar) for name in _FILES):
            action.complete = shtab.FILE  # type: ignore[attr-defined]
    script = shtab.complete(main_parser, shell=options.shell)
    say(script)


def _actions(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    """The arguments of a parser and its commands: `argparse` has no public list of them."""
    for action in parser._actions:
        yield action
        if isinstance(action.choices, Mapping):
            for command in action.choices.values():
                yield from _actions(command)
