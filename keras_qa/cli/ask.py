"""`keras-qa ask`: questions to an index of documents."""

from __future__ import annotations

import argparse
import dataclasses
import sys
import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING

from keras_qa.cli.indexes import add_reading, open_index
from keras_qa.cli.marked import REACH
from keras_qa.cli.options import positive
from keras_qa.cli.output import print_answers, say

if TYPE_CHECKING:
    from keras_qa.documents import Index
    from keras_qa.example import Answer

HELP = "answer questions from an index of documents"
USAGE = "%(prog)s FILE.index --reader READER [--question QUESTION] [options]"
EPILOG = """\
examples:
  keras-qa ask handbook.index --reader reader.keras --question "How long is the warranty?"
  keras-qa ask handbook.index --reader hf://deepset/minilm-uncased-squad2 --no-answer yes --top-k 3
Without --question it asks for one after another, until an empty line or Ctrl-D.
"""

# Other places of an answer that are named.
_PLACES = 3


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of the command."""
    parser.add_argument("index", metavar="FILE.index", help="as `keras-qa index` makes it")
    parser.add_argument(
        "--reader",
        required=True,
        metavar="READER",
        help="a .keras file, as `keras-qa train` saves it; or a published reader, as in `answer`",
    )
    parser.add_argument("--question", help="the question (default: those of a prompt)")
    parser.add_argument(
        "--top-k", type=positive, default=1, metavar="N", help="answers, best first (default: 1)"
    )
    add_reading(parser)
    parser.add_argument(
        "--min-score",
        type=float,
        metavar="P",
        help="give no answer that is less sure than this, between 0 and 1",
    )
    parser.add_argument(
        "--min-precision",
        type=float,
        metavar="P",
        help="give answers only from the score on from which that share of them is right, by the "
        "answers to `evaluate --fit`, with a confidence of 0.9",
    )


def run(options: argparse.Namespace) -> None:
    """Answers a question, or those of a prompt."""
    from keras_qa.answering import load

    with open_index(options.index, options.embed) as index:
        reader = load(options.reader, compile=False)
        told: set[str] = set()
        for question in _questions(options.question):
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                answers = reader.ask(
                    index,
                    question,
                    top_k=options.top_k,
                    passages=options.passages,
                    min_score=options.min_score,
                    min_precision=options.min_precision,
                    no_answer=options.no_answer,
                )
            for message in [str(one.message) for one in caught if one.category is UserWarning]:
                if message not in told:
                    say(f"keras-qa: {message}", error=True)
                    told.add(message)
            for answer in answers:
                _print(answer, index)


def _questions(question: str | None) -> Iterator[str]:
    if question is not None:
        yield question
        return
    if sys.stdin is None:
        raise ValueError("`ask` needs --question: standard input is closed.")
    if sys.stdin.isatty():
        say("Ask, one question a line. An empty line ends it.", error=True)
    while True:
        line = sys.stdin.readline().strip()
        if not line:
            return
        yield line


def _print(answer: Answer, index: Index) -> None:
    """Prints an answer, below it what says it and where."""
    if answer.document is None or answer.start is None or answer.end is None:
        print_answers([answer])
        return
    # What is shown of the document may be long, and is not all of it.
    first = max(answer.start - REACH, 0)
    part = index.text(answer.document, first, answer.end + REACH)
    within = dataclasses.replace(answer, start=answer.start - first, end=answer.end - first)
    print_answers([within], part)
    places = [_place(one.document, one.line, one.page) for one in answer.sources]
    more = f" and {len(places) - _PLACES} more" if len(places) > _PLACES else ""
    say(f"          {', '.join(dict.fromkeys(places[:_PLACES]))}{more}")


def _place(document: str, line: int, page: int | None) -> str:
    return f"{document}, page {page}" if page is not None else f"{document}:{line}"
