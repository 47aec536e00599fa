"""`keras-qa ask`: answers questions from documents: a folder, a file, or an index."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import os
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

from keras_qa._arguments import check_not_blank
from keras_qa._terminal import on_terminal, plain
from keras_qa.answering.opening import DEFAULT_RANKER, DEFAULT_READER, check_names
from keras_qa.cli.indexing import FOLDER, READING, check_index, open_folder, open_index
from keras_qa.cli.output import SENTENCE_REACH, Results, print_answers, say, say_warnings
from keras_qa.cli.parsing import (
    READER_HELP,
    CommandParser,
    Option,
    Options,
    add_options,
    given_once,
    given_options,
    option_name,
    positive,
    share,
)

if TYPE_CHECKING:
    from keras_qa.answering import Reranker
    from keras_qa.documents import Index
    from keras_qa.example import Answer

MODELS = ("reader", "ranker", "embed")
HELP = "answer questions from a folder of documents, one document, or indexes"
USAGE = "%(prog)s FOLDER|FILE... [QUESTION] [options]"
EPILOG = """\
examples:
  keras-qa ask handbook/ "How long is the warranty?"
  keras-qa ask handbook/ "How long is the warranty?" --index /tmp/handbook.index --top-k 3
  keras-qa ask manual.pdf "How long is the warranty?"
  keras-qa ask handbook.index --reader hf://deepset/minilm-uncased-squad2 --no-answer yes
  keras-qa ask letters.index manuals.index "How long is the warranty?"
The index of a folder or a document is saved beside it, as FOLDER.index or manual.pdf.index, and
updated before the questions.
Without a question, the command reads questions from a prompt, until an empty line or Ctrl-D.
"""

# The most locations of an answer that are printed.
_MAX_LOCATIONS = 3

# Options that select answers.
LEAST: Options = {
    "min_score": Option("P", "the lowest score of an answer, between 0 and 1", share),
    "min_precision": Option(
        "P", "the share of answers that must be right, after `evaluate --fit`", share
    ),
}
RANKER = Option(
    "RANKER",
    f"sorts the passages before the best are read (default: {DEFAULT_RANKER} for "
    f"{DEFAULT_READER}, otherwise none); or none",
)
OPTIONS: Options = {
    "question": Option("QUESTION", "the question, by name"),
    "reader": Option("READER", f"{READER_HELP} (default: %(default)s)", default=DEFAULT_READER),
    "ranker": RANKER,
    "top_k": Option("N", "answers, best first (default: %(default)s)", positive, 1),
    **READING,
    **LEAST,
}
INDEX = Option("FILE.index", "the file of the index (default: FOLDER.index)")


def add_documents(parser: CommandParser) -> None:
    """Adds the argument that names the documents."""
    parser.add_argument(
        "documents",
        metavar="FOLDER|FILE",
        nargs="+",
        help="a folder of documents, one document, or one or more indexes, as `keras-qa index` "
        "makes them",
    )


def add_arguments(parser: CommandParser) -> None:
    """Adds the options of the command."""
    add_documents(parser)
    parser.add_positional("question", "QUESTION", "the question (default: those of a prompt)")
    add_options(parser, OPTIONS)
    add_options(
        parser.add_argument_group("the index of a folder or a document"), {"index": INDEX, **FOLDER}
    )


def check(options: argparse.Namespace) -> None:
    """Checks the documents, the question and the models."""
    *documents, last = options.documents
    # The parser takes the question as the last of the documents.
    if documents and not os.path.exists(os.path.expanduser(last)):
        missing = [name for name in documents if not os.path.exists(os.path.expanduser(name))]
        if missing and missing[0] != documents[0]:
            words = " ".join(options.documents[options.documents.index(missing[0]) :])
            raise FileNotFoundError(
                f"There is no folder and no file {missing[0]!r}. If the question begins there, put "
                f'it in quotes: "{words:.100}".'
            )
        options.documents, options.positional_question = documents, last
    options.question = given_once(options, "question")
    if options.question is not None:
        check_not_blank("question", options.question)
    check_documents(options)
    check_names(options.reader, options.ranker, options.embed)


def check_documents(options: argparse.Namespace) -> None:
    """Checks that the documents exist, and the options that are for a folder."""
    if is_index(options):
        for name in options.documents:
            check_index(name)


def run(options: argparse.Namespace, results: Results) -> None:
    """Answers the question, or the questions of a prompt."""
    if on_terminal(error=True):
        # Before the imports, which take seconds.
        say(f"Reading {plain(', '.join(options.documents))} …", error=True)
    from keras_qa.answering.answerer import QuestionAnswerer

    questions = _questions(options.question)
    opens_index = is_index(options)
    with contextlib.ExitStack() as stack:
        # Load models before reading a folder, which takes longer, so that an error comes early.
        ranker = load_ranker(options.ranker)
        if opens_index:
            index = stack.enter_context(open_index(options.documents, options.embed))
            reader = QuestionAnswerer.from_preset(options.reader, compile=False)
        else:
            reader = QuestionAnswerer.from_preset(options.reader, compile=False)
            opened = open_folder(options.documents[0], options.index, options)
            index = stack.enter_context(opened)
        stack.enter_context(say_warnings())
        settings = given_options(options, ("passages", "no_answer", *LEAST))
        # Only JSON has them.
        settings["boxes"] = options.json
        for question in questions:
            answers = reader.ask(index, question, options.top_k, ranker=ranker, **settings)
            results.add(question=question, answers=answers)
            for answer in answers:
                _print(answer, index)


def load_ranker(name: str | None) -> Reranker | str | None:
    """Returns the argument `ranker` of `QuestionAnswerer.ask` for the option."""
    from keras_qa.answering.document_answers import open_ranker

    return "auto" if name is None else open_ranker(None if name == "none" else name)


def is_index(options: argparse.Namespace) -> bool:
    """Whether the documents are one or more indexes. Checks the options that are for a folder."""
    from keras_qa.documents.file_formats import SUFFIXES

    for name in options.documents:
        path = os.path.expanduser(name)
        if not os.path.exists(path):
            raise FileNotFoundError(
                f"There is no folder and no file {name!r}. Give a folder of documents, one "
                "document, or an index, as `keras-qa index` makes it."
            )
        if os.path.isdir(path) or os.path.splitext(path)[1].lower() in SUFFIXES:
            if len(options.documents) == 1:
                return False
            raise ValueError(
                f"{name!r} is a folder or a document, and only indexes can be searched as one. "
                "Make an index of it by `keras-qa index`. A question that is also the name of a "
                "file needs `--question`."
            )
    for name in given_options(options, ("index", *FOLDER)):
        raise ValueError(
            f"`{option_name(name)}` is for a folder or a document, and {options.documents[0]!r} is "
            "an index. Leave it out, or give the folder."
        )
    return True


def _questions(question: str | None) -> Iterator[str]:
    if question is not None:
        yield question
        return
    if sys.stdin is None:
        raise ValueError("`ask` needs a question: standard input is closed.")
    is_typed = sys.stdin.isatty()
    if is_typed:
        say("Ask, one question per line. End with an empty line.", error=True)
    between = ""
    while line := sys.stdin.readline().strip():
        if not is_typed:
            say(f"{between}{line}")
            between = "\n"
        yield line


def _print(answer: Answer, index: Index) -> None:
    """Prints an answer, its sentence, and its locations in the documents."""
    if answer.document is None or answer.start is None or answer.end is None:
        print_answers([answer])
        return
    # Read only the part of the document that can be printed.
    first = max(answer.start - SENTENCE_REACH, 0)
    part = index.visible_text(answer.document, first, answer.end + SENTENCE_REACH)
    start = part.to_visible(answer.start - first)
    end = part.to_visible(answer.end - first, is_end=True)
    print_answers([dataclasses.replace(answer, start=start, end=end)], part.text)
    places = [
        f"{source.document}:{source.line}"
        if source.page is None
        else f"{source.document}, page {source.page}"
        for source in answer.sources
    ]
    more = f" and {len(places) - _MAX_LOCATIONS} more" if len(places) > _MAX_LOCATIONS else ""
    say(f"          {', '.join(dict.fromkeys(places[:_MAX_LOCATIONS]))}{more}")
