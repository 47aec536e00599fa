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

import keras_qa
from keras_qa._arguments import MAX_MESSAGE_LENGTH, shorten
from keras_qa._terminal import on_terminal
from keras_qa.answering import opening
from keras_qa.cli import (
    answer,
    ask,
    completion,
    distill,
    evaluate,
    export,
    indexing,
    interrupts,
    mcp,
    output,
    quickstart,
    serve,
    train,
    verify,
)
from keras_qa.cli.parsing import CommandParser, Parser
from keras_qa.data.downloads import cache_folder
from keras_qa.data.rows import MissingColumnError

# Each module has `HELP`, `USAGE`, `EPILOG`, `add_arguments` and `run`, which imports Keras. It adds
# to the results of `--json`, and returns the exit code or `None`. `MODELS` has the options that
# name models: only these need a backend. Without it, the command always needs one. `check` raises
# an error for options that cannot work, before Keras is imported. `HAS_RESULTS` is false if there
# is no `--json`.
COMMANDS = {
    "quickstart": quickstart,
    "train": train,
    "distill": distill,
    "evaluate": evaluate,
    "answer": answer,
    "index": indexing,
    "ask": ask,
    "verify": verify,
    "export": export,
    "serve": serve,
    "mcp": mcp,
    "completion": completion,
}

ERROR = 2
CLOSED = 1
INTERRUPTED = 130


def command() -> NoReturn:
    """Runs `main` and ends the process: the entry point of the `keras-qa` script."""
    # What the imports have created is permanent: collections need not go through it.
    gc.freeze()
    code = main()
    if code == INTERRUPTED:
        # JAX may crash during Python's shutdown if it was interrupted at work.
        os._exit(code)
    sys.exit(code)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line.

    Args:
        arguments: The arguments after `keras-qa`. `None` for `sys.argv`.

    Returns:
        The exit code: 0; 2 after an error, which is printed as one line; 130 after Ctrl-C; 1 if
        the reader of the output, such as `head`, has closed it, if `verify` finds a sentence
        without support, or if `export --int8` loses too much to be written.
    """
    results = output.Results()
    try:
        with interrupts.handle_sigint():
            main_parser = parser()
            options = main_parser.parse_args(arguments)
            if not hasattr(options, "command"):
                main_parser.print_help()
                return 0
            return _run(options, results)
    except BrokenPipeError:
        return CLOSED
    except (ImportError, MemoryError, OSError, TypeError, ValueError) as error:
        return _fail("error: ", _describe(error), ERROR, results)
    except KeyboardInterrupt as interrupt:
        if on_terminal():
            # The cursor may be in a line of progress: start a new one.
            output.say("")
        return _fail("", f"interrupted. {interrupt}", INTERRUPTED, results)
    finally:
        output.discard_unwritten()


def parser() -> argparse.ArgumentParser:
    """Returns the parser of the command line."""
    main_parser = Parser(
        prog="keras-qa",
        description="Question answering with Keras: texts and questions in, answers out.",
        epilog="Start with `keras-qa quickstart`. `keras-qa COMMAND --help` shows the options of a "
        "command, with an example.",
    )
    version = f"%(prog)s {keras_qa.__version__}"
    main_parser.add_argument("--version", action="version", version=version)
    commands = main_parser.add_subparsers(
        metavar="COMMAND", title="commands", parser_class=CommandParser
    )
    for name, module in COMMANDS.items():
        command_parser = commands.add_parser(
            name,
            help=module.HELP,
            description=f"{module.HELP[0].upper()}{module.HELP[1:]}.",
            usage=module.USAGE,
            epilog=module.EPILOG,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        module.add_arguments(command_parser)
        if getattr(module, "HAS_RESULTS", True):
            command_parser.add_argument(
                "--json", action="store_true", help="print the results as one JSON object"
            )
        command_parser.set_defaults(command=name, run=module.run)
    return main_parser


def _run(options: argparse.Namespace, results: output.Results) -> int:
    code: int | None
    with contextlib.ExitStack() as stack:
        if getattr(options, "json", False):
            stack.enter_context(results.as_json(options.command))
        if hasattr(COMMANDS[options.command], "check"):
            COMMANDS[options.command].check(options)
        if _needs_backend(options):
            _import_backend()
            stack.enter_context(_progress_bars_on_terminals_only())
        code = options.run(options, results)
    results.print()
    output.flush()
    return code or 0


def _needs_backend(options: argparse.Namespace) -> bool:
    module = COMMANDS[options.command]
    if module is indexing:
        # The index may name an encoder.
        return indexing.needs_backend(options)
    if not hasattr(module, "MODELS"):
        return True
    names = (getattr(options, name) for name in module.MODELS)
    return opening.needs_backend(*(name for name in names if name != "none"))


def _import_backend() -> None:
    """Imports Keras and its backend without garbage collection.

    The imports create half a million permanent objects. Collections among them take a sixth of the
    time to the first answer.
    """
    # By default, TensorFlow logs a page about the processor.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    # JAX reads compiled functions from this folder instead of compiling them in each process.
    if os.environ.get("KERAS_QA_CACHE") != "0":
        os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(cache_folder() / "jax"))
    collects = gc.isenabled()
    gc.disable()
    try:
        # This raises an `ImportError` that says which backend to install, if it is missing.
        importlib.import_module("keras_qa.engine")
    finally:
        gc.freeze()
        if collects:
            gc.enable()


@contextlib.contextmanager
def _progress_bars_on_terminals_only() -> Iterator[None]:
    """Turns off Keras' progress bars, which write twenty lines a second, unless on a terminal."""
    from keras import config

    before = config.is_interactive_logging_enabled()
    if not on_terminal():
        config.disable_interactive_logging()
    try:
        yield
    finally:
        if before:
            config.enable_interactive_logging()
        else:
            config.disable_interactive_logging()


def _describe(error: Exception) -> str:
    """The message of an error: without the number of a system error, with the option to use."""
    if isinstance(error, MissingColumnError):
        columns = ",".join(f"{field}=NAME" for field in error.fields)
        its = "their columns" if len(error.fields) > 1 else "its column"
        return f"{error.problem} Name {its} by `--columns {columns}`."
    if isinstance(error, OSError) and error.strerror:
        file = "" if error.filename is None else f"{error.filename!r}: "
        return f"{file}{error.strerror}."
    return str(error) or type(error).__name__


def _fail(kind: str, message: str, code: int, results: output.Results) -> int:
    line = shorten(" ".join(message.split()), MAX_MESSAGE_LENGTH - len(kind))
    # If standard output or error is closed, the exit code reports the failure.
    with contextlib.suppress(OSError):
        output.say(f"keras-qa: {kind}{line}", error=True)
    with contextlib.suppress(OSError):
        results.print(error=line)
    return code
