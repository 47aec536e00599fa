"""`keras-qa verify`: marks the sentences of an answer that the documents do not support."""

from __future__ import annotations

import argparse
import dataclasses
import json

from keras_qa.answering import opening
from keras_qa.answering.loading import DEFAULT_READER
from keras_qa.cli import data
from keras_qa.cli.output import print_marked, say, say_warnings
from keras_qa.cli.parsing import Option, Options, add_options

HELP = "mark what the documents do not support in an answer"
USAGE = "%(prog)s ANSWER --documents FOLDER|FILE [options]"
EPILOG = """\
examples:
  keras-qa verify answer.txt --documents handbook/
  keras-qa verify answer.txt --documents handbook/ --question "How long is the warranty?"
  cat answer.txt | keras-qa verify - --documents handbook.index --json
The exit code is 0 if nothing is unsupported, 1 if something is, and 2 after an error.
"""

OPTIONS: Options = {
    "documents": Option(
        "FOLDER|FILE",
        "a folder of documents, one document, or an index, as `keras-qa index` makes it",
        required=True,
    ),
    "question": Option(
        "QUESTION", "also accept sentences that contain the answer of a reader to it"
    ),
    "reader": Option(
        "READER",
        f"the reader for the question, as in `ask` (default: {DEFAULT_READER}); or a model that "
        "classifies tokens, such as hf://KRLabsOrg/lettucedect-base-modernbert-en-v1",
    ),
    "threshold": Option(
        "P", "lowest score of an answer or unsupported span (default: %(default)s)", float, 0.5
    ),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of the command."""
    parser.add_argument(
        "answer", metavar="ANSWER", help="a text file, -, or a text, as in `answer`"
    )
    add_options(parser, OPTIONS)
    parser.add_argument("--json", action="store_true", help="print JSON")


def needs_backend(options: argparse.Namespace) -> bool:
    """Whether a model of the options needs a backend. A question needs the default reader."""
    default = None if options.question is None else DEFAULT_READER
    return opening.needs_backend(options.reader or default)


def run(options: argparse.Namespace) -> int:
    """Verifies the answer. Returns the exit code."""
    from keras_qa.answering.verification import verify

    answer = data.read_text(options.answer)
    with say_warnings():
        verdicts = verify(
            answer, options.documents, options.question, options.reader, options.threshold
        )
    unsupported = [(verdict.start, verdict.end) for verdict in verdicts if not verdict.supported]
    if options.json:
        say(json.dumps([dataclasses.asdict(verdict) for verdict in verdicts], indent=2))
    else:
        print_marked(answer, unsupported)
        say(f"\nUnsupported: {len(unsupported)}.")
        for verdict in verdicts:
            if verdict.supported:
                say(f"  {verdict.document}:{verdict.line}  {verdict.text}")
    return 1 if unsupported else 0
