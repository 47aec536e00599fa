"""The `keras-qa` command. Every command is a few calls that a user could write in Python."""

from __future__ import annotations

import argparse
import contextlib
import gc
import importlib
import os
import sys
from collections.abc import Iterator, Sequence
from typing import NoReturn

from keras_qa import _backend
from keras_qa.cli import answer, ask, evaluate, index, interrupts, output, quickstart, train
from keras_qa.cli.options import CommandParser, Formatter, Parser
from keras_qa.files.download import cache_folder
from keras_qa.terminal import on_terminal

# Each has `HELP`, `USAGE`, `EPILOG`, `add_arguments` and `run`, which is the first to import Keras;
# and `needs_backend`, where that hangs on the options.
COMMANDS = {
    "quickstart": quickstart,
    "train": train,
    "evaluate": evaluate,
    "answer": answer,
    "index": index,
    "ask": ask,
}

ERROR = 2
CLOSED = 1
INTERRUPTED = 130


def command() -> NoReturn:
    """What the `keras-qa` script calls: `main`, and the end of the process."""
    code = main()
    if code == INTERRUPTED:
        # JAX, broken off in the middle of its work, may crash when Python takes itself apart.
        os._exit(code)
    sys.exit(code)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line.

    Args:
        arguments: What stands after `keras-qa`. `None` for `sys.argv`.

    Returns:
        0; 2 after an error that was printed in one line; 130 after Ctrl-C; 1 where what read the
        output, such as `head`, has closed it.
    """
    try:
        with interrupts.heard():
            return _run(parser().parse_args(arguments))
    except BrokenPipeError:
        return CLOSED
    except (ImportError, MemoryError, OSError, TypeError, ValueError) as error:
        return _fail(f"error: {str(error) or type(error).__name__}", ERROR)
    except KeyboardInterrupt as interrupt:
        if on_terminal():
            # Out of the line that shows how far the work was.
            output.say("")
        return _fail(f"interrupted. {interrupt}", INTERRUPTED)
    finally:
        output.settle()


def parser() -> argparse.ArgumentParser:
    """What the command line may hold."""
    found = Parser(
        prog="keras-qa",
        description="Question answering with Keras: texts and questions in, answers out.",
        epilog="Start with `keras-qa quickstart`. `keras-qa COMMAND --help` shows the options of a "
        "command, with an example.",
    )
    commands = found.add_subparsers(
        required=True, metavar="COMMAND", title="commands", parser_class=CommandParser
    )
    for name, module in COMMANDS.items():
        one = commands.add_parser(
            name,
            help=module.HELP,
            description=f"{module.HELP[0].upper()}{module.HELP[1:]}.",
            usage=module.USAGE,
            epilog=module.EPILOG,
            formatter_class=Formatter,
        )
        module.add_arguments(one)
        needs_backend = getattr(module, "needs_backend", None)
        one.set_defaults(run=module.run, needs_backend=needs_backend)
    return found


def _run(options: argparse.Namespace) -> int:
    if options.needs_backend is not None and not options.needs_backend(options):
        options.run(options)
        output.flush()
        return 0
    # TensorFlow prints a page about the processor before the first word of an answer.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    # JAX compiles the same functions in every process, unless it finds them in this folder.
    if os.environ.get("KERAS_QA_CACHE") != "0":
        os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(cache_folder() / "jax"))
    problem = _backend.problem()
    if problem is not None:
        return _fail(f"error: {problem}", ERROR)
    _import_backend()
    with _bars_on_a_terminal_alone():
        options.run(options)
    output.flush()
    return 0


def _import_backend() -> None:
    """Imports Keras and its backend.

    They make half a million objects that stay, and among which Python would look for garbage again
    and again: a sixth of the time until the first answer.
    """
    collects = gc.isenabled()
    gc.disable()
    try:
        # What a backend lacks is told of by what needs it.
        with contextlib.suppress(ImportError):
            importlib.import_module("keras_qa.execution")
    finally:
        gc.freeze()
        if collects:
            gc.enable()


@contextlib.contextmanager
def _bars_on_a_terminal_alone() -> Iterator[None]:
    """Keras' own progress bars would fill a file with twenty lines a second."""
    from keras import config

    before = config.is_interactive_logging_enabled()
    if not on_terminal():
        config.disable_interactive_logging()
    try:
        yield
    finally:
        if before:
            config.enable_interactive_logging()


def _fail(message: str, code: int) -> int:
    # Where nobody hears it, the code says it.
    with contextlib.suppress(OSError):
        output.say(f"keras-qa: {' '.join(message.split())}", error=True)
    return code
