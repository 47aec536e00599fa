"""`keras-qa verify`: marks the sentences of an answer that the documents do not support."""

from __future__ import annotations

import argparse
import dataclasses
from typing import TYPE_CHECKING

from keras_qa._arguments import check_not_blank
from keras_qa.answering.opening import (
    DEFAULT_CHECKER,
    DEFAULT_RANKER,
    DEFAULT_READER,
    check_names,
    default_verifiers,
)
from keras_qa.cli import data
from keras_qa.cli.indexing import check_document
from keras_qa.cli.output import Results, print_marked, say, say_warnings
from keras_qa.cli.parsing import Option, Options, add_options, share

if TYPE_CHECKING:
    from keras_qa.answering.verification import Verdict

MODELS = ("reader", "ranker", "checker")
HELP = "mark what the documents do not support in an answer"
USAGE = "%(prog)s ANSWER --documents FOLDER|FILE [options]"
EPILOG = """\
examples:
  keras-qa verify answer.txt --documents handbook/
  keras-qa verify answer.txt --documents handbook/ --question "How long is the warranty?"
  cat answer.txt | keras-qa verify - --documents handbook.index --json
The exit code is 0 if nothing is unsupported, 1 if something is, and 2 after an error.
"""
WORDS_ONLY = "Compared only words and numbers, without a reader."

OPTIONS: Options = {
    "documents": Option("FOLDER|FILE", "a folder, a document, or an index", required=True),
    "question": Option("QUESTION", "also accept sentences that contain the reader's answer to it"),
    "reader": Option(
        "READER",
        "the reader of facts (default: %(default)s); or a model that classifies tokens, such as "
        "hf://KRLabsOrg/lettucedect-base-modernbert-en-v1; or none, to compare only words",
        default=DEFAULT_READER,
    ),
    "ranker": Option(
        "RANKER", f"chooses the evidence (default: {DEFAULT_RANKER}, without Keras none); or none"
    ),
    "checker": Option(
        "CHECKER", f"checks claims (default: {DEFAULT_CHECKER}, without Keras none); or none"
    ),
    "threshold": Option("P", "lowest score of a sentence (default: %(default)s)", share, 0.5),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of the command."""
    parser.add_argument(
        "answer", metavar="ANSWER", help="a text file, -, or a text, as in `answer`"
    )
    add_options(parser, OPTIONS)


def check(options: argparse.Namespace) -> None:
    """Checks the documents and the models, and reads the answer."""
    if options.question is not None:
        check_not_blank("question", options.question)
    check_document(options.documents)
    check_names(options.reader, options.ranker, options.checker)
    options.answer = data.read_text(options.answer)


def run(options: argparse.Namespace, results: Results) -> int:
    """Verifies the answer. Returns the exit code."""
    from keras_qa.answering.verification import verify

    ranker, checker = default_verifiers(options.reader)
    names = {
        "reader": options.reader,
        "ranker": options.ranker or ranker,
        "checker": options.checker or checker,
    }
    models = {kind: None if name == "none" else name for kind, name in names.items()}
    with say_warnings():
        verdicts = verify(
            options.answer,
            options.documents,
            options.question,
            threshold=options.threshold,
            **models,
        )
    unsupported = [(verdict.start, verdict.end) for verdict in verdicts if not verdict.supported]
    for verdict in verdicts:
        results.add(**dataclasses.asdict(verdict), supported=verdict.supported)
    if models["reader"] is None:
        say(WORDS_ONLY)
    print_marked(options.answer, unsupported)
    say(f"\nUnsupported: {len(unsupported)}.")
    for verdict in verdicts:
        if verdict.document is not None:
            say(f"  {verdict.outcome}  {_place(verdict)}  {verdict.text}")
        if verdict.instead is not None:
            say(f"      the source says: {' '.join(verdict.instead.split())}")
    return 1 if unsupported else 0


def _place(verdict: Verdict) -> str:
    """Returns the document, the lines and the page of the evidence."""
    last = "" if verdict.end_line == verdict.line else f"-{verdict.end_line}"
    page = "" if verdict.page is None else f" (page {verdict.page})"
    return f"{verdict.document}:{verdict.line}{last}{page}"
