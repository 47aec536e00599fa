"""`keras-qa verify`: marks the sentences of an answer that the documents do not support."""

from __future__ import annotations

import argparse
import dataclasses
import json
import pathlib
import warnings
from typing import TYPE_CHECKING

from keras_qa.answering.loading import DEFAULT_READER
from keras_qa.cli import data
from keras_qa.cli.output import CONTEXT, print_marked, say
from keras_qa.terminal import plain

if TYPE_CHECKING:
    from keras_qa.answering import Verdict
    from keras_qa.documents import Index

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
        metavar="P",
        help="the lowest score of the reader's answer or of an unsupported span (default: as the "
        "reader decides)",
    )
    parser.add_argument("--json", action="store_true", help="print JSON")


def needs_backend(options: argparse.Namespace) -> bool:
    """Whether the options need a backend: a question and a reader do."""
    return options.question is not None or options.reader is not None


def run(options: argparse.Namespace) -> int:
    """Verifies the answer. Returns the exit code."""
    from keras_qa.answering.verification import open_documents, verify
    from keras_qa.documents import Index
    from keras_qa.documents.file_formats import SUFFIXES

    answer = data.read_text(options.answer)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        path = pathlib.Path(options.documents).expanduser()
        is_index = path.is_file() and path.suffix.lower() not in SUFFIXES
        with Index.open(path) if is_index else open_documents(path) as index:
            found = verify(answer, index, options.question, options.reader, options.threshold)
            sources = [_source(one, index) for one in found if one.supported]
    for warning in caught:
        if warning.category is UserWarning:
            say(f"keras-qa: {warning.message}", error=True)
    unsupported = [(one.start, one.end) for one in found if not one.supported]
    if options.json:
        say(json.dumps([dataclasses.asdict(one) for one in found], indent=2))
    else:
        print_marked(answer, unsupported)
        say("\n".join([f"\nUnsupported: {len(unsupported)}.", *sources]))
    return 1 if unsupported else 0


def _source(verdict: Verdict, index: Index) -> str:
    """One line: where the documents support a sentence, and what stands there."""
    assert verdict.document is not None
    before = index.text(verdict.document, 0, verdict.document_start)
    text = index.text(verdict.document, verdict.document_start or 0, verdict.document_end)
    text = plain(text if len(text) <= CONTEXT else f"{text[:CONTEXT]}…")
    return f"  {plain(verdict.document)}:{before.count(chr(10)) + 1}  {text}"
