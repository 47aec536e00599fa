"""`keras-qa verify`: marks the sentences of an answer that the documents do not support."""

from __future__ import annotations

import argparse
import dataclasses
import json
import warnings

from keras_qa.answering.loading import DEFAULT_READER
from keras_qa.cli import data
from keras_qa.cli.output import print_marked, say
from keras_qa.cli.parsing import need_backend

HELP = "mark what the documents do not support in an answer"
USAGE = "%(prog)s ANSWER --documents FOLDER|FILE [options]"
EPILOG = """\
examples:
  keras-qa verify answer.txt --documents handbook/
  keras-qa verify answer.txt --documents handbook/ --question "How long is the warranty?"
  cat answer.txt | keras-qa verify - --documents handbook.index --json
The exit code is 0 if nothing is unsupported, 1 if something is, and 2 after an error.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of the command."""
    parser.add_argument(
        "answer", metavar="ANSWER", help="a text file, -, or a text, as in `answer`"
    )
    parser.add_argument(
        "--documents",
        required=True,
        metavar="FOLDER|FILE",
        help="a folder of documents, one document, or an index, as `keras-qa index` makes it",
    )
    parser.add_argument(
        "--question", help="also accept sentences that contain the answer of a reader to it"
    )
    parser.add_argument(
        "--reader",
        help=f"the reader for the question, as in `ask` (default: {DEFAULT_READER}); or a model "
        "that classifies tokens, such as hf://KRLabsOrg/lettucedect-base-modernbert-en-v1",
    )
    parser.add_argument(
        "--threshold",
        type=float,
        default=0.5,
        metavar="P",
        help="the lowest score of the reader's answer or of an unsupported span (default: "
        "%(default)s)",
    )
    parser.add_argument("--json", action="store_true", help="print JSON")


def needs_backend(options: argparse.Namespace) -> bool:
    """Whether a model of the options needs a backend. A question needs the default reader."""
    default = None if options.question is None else DEFAULT_READER
    return need_backend(options.reader or default)


def run(options: argparse.Namespace) -> int:
    """Verifies the answer. Returns the exit code."""
    from keras_qa.answering import verify

    answer = data.read_text(options.answer)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = verify(
            answer, options.documents, options.question, options.reader, options.threshold
        )
    for warning in caught:
        if warning.category is UserWarning:
            say(f"keras-qa: {warning.message}", error=True)
    unsupported = [(one.start, one.end) for one in found if not one.supported]
    if options.json:
        say(json.dumps([dataclasses.asdict(one) for one in found], indent=2))
    else:
        print_marked(answer, unsupported)
        say(f"\nUnsupported: {len(unsupported)}.")
        for one in found:
            if one.supported:
                say(f"  {one.document}:{one.line}  {one.text}")
    return 1 if unsupported else 0
