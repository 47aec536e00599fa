"""`keras-qa answer`: one question about a text, or a file of them."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from keras_qa.cli import data
from keras_qa.cli.options import (
    DEFAULT_READER,
    CommandParser,
    given_once,
    positive,
    yes_or_no,
)
from keras_qa.cli.output import print_answers, say
from keras_qa.cli.texts import read_text
from keras_qa.terminal import clock

if TYPE_CHECKING:
    from keras_qa.preprocessing import AskOptions

HELP = "answer a question about a text, or all questions of a file"
USAGE = """\
%(prog)s READER TEXT QUESTION [options]
       %(prog)s READER --input FILE --output FILE.jsonl [options]"""
EPILOG = """\
examples:
  keras-qa answer qa.keras story.txt "Where is Mary?"
  keras-qa answer qa.keras "Mary went to the garden." "Where is Mary?"
  cat story.txt | keras-qa answer qa.keras - "Where is Mary?" --top-k 3
  keras-qa answer qa.keras --input questions.jsonl --output answers.jsonl
  keras-qa answer hf://deepset/minilm-uncased-squad2 report.txt "Who wrote it?"
"""


def add_arguments(parser: CommandParser) -> None:
    """Adds the options of the command."""
    parser.add_argument(
        "file",
        metavar="READER",
        help="a .keras file, as `keras-qa train` saves it; a published reader: a folder in "
        f"Hugging Face's layout, or hf://owner/name; or a preset, such as {DEFAULT_READER}",
    )
    parser.add_positional(
        "text",
        "TEXT",
        "a text file; - to read standard input; or, if there is no such file and it holds a space, "
        "the text itself",
    )
    parser.add_positional("question", "QUESTION", "the question about it")
    one = parser.add_argument_group("one question", "the same arguments by name")
    one.add_argument("--text", help="the text")
    one.add_argument("--question", help="the question about it")
    many = parser.add_argument_group("the questions of a file")
    many.add_argument(
        "--input",
        metavar="FILE",
        help="a .jsonl, .csv, .tsv or .parquet file with the columns text and question and, where "
        "there is one, id; or SQuAD's .json. With a text all are about that text",
    )
    many.add_argument(
        "--output",
        metavar="FILE.jsonl",
        help="file to write their answers to, one a line; where it holds some already, the same "
        "command goes on after them",
    )
    many.add_argument(
        "--batch-size",
        type=positive,
        default=32,
        metavar="N",
        help="questions at a time (default: %(default)s)",
    )
    data.add_columns(many)
    parser.add_argument(
        "--top-k", type=int, metavar="N", help="answers a question, best first (default: the best)"
    )
    spans = parser.add_argument_group(
        "readers of spans", "how they answer this time (default: as the reader was saved)"
    )
    spans.add_argument(
        "--max-answer-words", type=positive, metavar="N", help="most words of an answer"
    )
    spans.add_argument(
        "--no-answer", type=yes_or_no, metavar="yes|no", help="whether a text may have no answer"
    )
    spans.add_argument(
        "--whole-words",
        type=yes_or_no,
        metavar="yes|no",
        help="whether answers begin and end with words, rather than with pieces of them",
    )
    spans.add_argument(
        "--length", type=positive, metavar="N", help="most positions of a window of the text"
    )
    spans.add_argument(
        "--overlap",
        type=int,
        metavar="N",
        help="positions that a window shares with the one before",
    )
    spans.add_argument(
        "--max-question-length",
        type=positive,
        metavar="N",
        help="most pieces of a question; those beyond are cut off",
    )


def run(options: argparse.Namespace) -> None:
    """Answers a question about a text, or the questions of a file."""
    options.text, options.question = given_once(options, "text"), given_once(options, "question")
    given = {
        "text": options.text,
        "question": options.question,
        "--input": options.input,
        "--output": options.output,
    }
    names = [name for name, value in given.items() if value is not None]
    if names not in (
        ["text", "question"],
        ["--input", "--output"],
        ["text", "--input", "--output"],
    ):
        raise ValueError(
            "`answer` needs a text and a question, or --input and --output. Received: "
            f"{', '.join(names) or 'none of them'}."
        )
    if options.input is None:
        _answer_one(options)
    else:
        _answer_file(options)


def _asked(options: argparse.Namespace) -> AskOptions:
    return {
        "max_answer_words": options.max_answer_words,
        "no_answer": options.no_answer,
        "whole_words": options.whole_words,
        "length": options.length,
        "overlap": options.overlap,
        "max_question_length": options.max_question_length,
    }


def _answer_one(options: argparse.Namespace) -> None:
    from keras_qa.answering import load

    text = read_text(options.text)
    answers = load(options.file, compile=False).answer(
        text,
        options.question,
        top_k=1 if options.top_k is None else options.top_k,
        **_asked(options),
    )
    print_answers(answers, text)


def _answer_file(options: argparse.Namespace) -> None:
    from keras_qa.answering import files, load

    columns = data.columns(options)
    text = None if options.text is None else read_text(options.text)
    answerer = load(options.file, compile=False)
    try:
        done = files.answer_file(
            answerer,
            options.input,
            options.output,
            columns,
            text,
            options.top_k,
            options.batch_size,
            **_asked(options),
        )
    except KeyboardInterrupt:
        raise KeyboardInterrupt("The same command goes on after the last answer written.") from None
    before = f", {done.before:,} had been answered before" if done.before else ""
    say(
        f"Answered {done.questions:,} questions in {clock(done.seconds)}{before}. "
        f"Wrote {options.output}."
    )
