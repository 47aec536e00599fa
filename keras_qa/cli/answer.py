"""`keras-qa answer`: answers a question about a text, or a file of questions."""

from __future__ import annotations

import argparse
import time
from typing import Any

from keras_qa._arguments import check_not_blank
from keras_qa._terminal import clock
from keras_qa.answering.opening import DEFAULT_READER, check_names
from keras_qa.cli import data
from keras_qa.cli.interrupts import advise_after_interrupt
from keras_qa.cli.output import NO_ANSWER, Results, print_answers, say
from keras_qa.cli.parsing import (
    CommandParser,
    Option,
    Options,
    add_options,
    given_once,
    given_options,
    positive,
    whole,
    yes_or_no,
)

SINGLE: Options = {
    "text": Option("TEXT", "the text"),
    "question": Option("QUESTION", "the question about it"),
    "choices": Option("CHOICE", "for multiple choice: the answers to choose from", nargs="+"),
}
FILES: Options = {
    "input": Option("FILE", "a .jsonl, .csv, .tsv or .parquet file, or SQuAD's .json"),
    "output": Option("FILE.jsonl", "the file to write the answers to, one per line"),
    "engine": Option("ray", "what distributes the files of questions", choices=("ray",)),
    "workers": Option("N", "for --engine: processes (default: one a processor)", positive),
    "batch_size": Option("N", "questions per step (default: %(default)s)", positive, 32),
}
SPANS: Options = {
    "max_answer_words": Option("N", "largest number of words in an answer", positive),
    "no_answer": Option("yes|no", "whether a text may have no answer", yes_or_no),
    "whole_words": Option("yes|no", "whether answers begin and end at whole words", yes_or_no),
    "max_length": Option("N", "largest number of positions in a window of the text", positive),
    "stride": Option("N", "positions that two adjacent windows share", whole),
    "max_question_length": Option("N", "tokens of a question; the rest is cut off", positive),
}

MODELS = ("file",)
HELP = "answer a question about a text, or all questions of a file"
USAGE = """\
%(prog)s READER TEXT QUESTION [options]
       %(prog)s READER --input FILE --output FILE.jsonl [options]"""
EPILOG = """\
examples:
  keras-qa answer qa.keras story.txt "Where is Mary?"
  keras-qa answer qa.keras "Mary went to the garden." "Where is Mary?"
  cat story.txt | keras-qa answer qa.keras - "Where is Mary?" --top-k 3
  keras-qa answer chooser.keras story.txt "Where is Mary?" --choices kitchen garden
  keras-qa answer qa.keras --input questions.jsonl --output answers.jsonl
  keras-qa answer qa.keras --engine ray --input "questions/*.parquet" --output answers/
  keras-qa answer hf://deepset/minilm-uncased-squad2 report.txt "Who wrote it?"
"""


def add_arguments(parser: CommandParser) -> None:
    """Adds the options of the command."""
    parser.add_argument(
        "file",
        metavar="READER",
        help="a .keras file, as `keras-qa train` saves it; a folder, as `keras-qa export` writes "
        "it; a published reader: a folder in Hugging Face's layout, or hf://owner/name; or a "
        f"preset, such as {DEFAULT_READER}",
    )
    parser.add_positional(
        "text",
        "TEXT",
        "a text file; - to read standard input; or, if there is no such file and it contains a "
        "space, the text itself",
    )
    parser.add_positional("question", "QUESTION", "the question about it")
    single = parser.add_argument_group("one question", "the same arguments by name")
    add_options(single, SINGLE)
    files = parser.add_argument_group(
        "the questions of a file",
        "The file has the columns text, question and, optionally, id and choices.\n"
        "If a text is given, all questions are about it. The same command continues an\n"
        "interrupted one, by FILE.jsonl.progress. With --engine ray, --input is a pattern\n"
        "of .jsonl and .parquet files, and --output a folder.",
    )
    add_options(files, {**FILES, **data.COLUMNS})
    parser.add_argument(
        "--top-k", type=positive, metavar="N", help="answers, best first (default: the best)"
    )
    spans = parser.add_argument_group(
        "readers of spans", "settings of this call (default: those saved with the reader)"
    )
    spans.add_argument(
        "--all-spans",
        action="store_true",
        help="all spans that answer the question, best first, instead of the best one",
    )
    add_options(spans, SPANS)


def check(options: argparse.Namespace) -> None:
    """Checks the reader, the question and the file of questions, and reads the text."""
    options.text, options.question = given_once(options, "text"), given_once(options, "question")
    received = list(given_options(options, ("text", "question")))
    files = [f"--{name}" for name in given_options(options, ("input", "output"))]
    both = ["--input", "--output"]
    if (received, files) not in ((["text", "question"], []), ([], both), (["text"], both)):
        raise ValueError(
            "`answer` needs a text and a question, or --input and --output. Received: "
            f"{', '.join(received + files) or 'none of them'}."
        )
    if options.choices is not None and options.input is not None:
        raise ValueError("`--choices` is for one question. Add a column `choices` to the file.")
    if options.engine is None and options.workers is not None:
        raise ValueError("`--workers` needs an engine. Add --engine ray.")
    if options.engine is not None and options.input is None:
        raise ValueError("`--engine` is for files of questions. Add --input and --output.")
    if options.question is not None:
        check_not_blank("question", options.question)
    if options.text is not None:
        options.text = data.read_text(options.text)
        check_not_blank("text", options.text)
    if options.input is not None and options.engine is None:
        text = "" if options.text is not None else None
        data.check_files([options.input], options, answers=False, text=text)
    check_names(options.file)


def run(options: argparse.Namespace, results: Results) -> None:
    """Answers the question, or the questions of the file."""
    if options.input is None:
        _answer_one(options, results)
    else:
        _answer_file(options, results)


def _answer_one(options: argparse.Namespace, results: Results) -> None:
    from keras_qa.answering.answerer import QuestionAnswerer

    answerer = QuestionAnswerer.from_preset(options.file, compile=False)
    settings = given_options(options, ("top_k", "choices", *SPANS))
    if options.all_spans:
        settings["all_spans"] = True
    elif options.top_k is None:
        settings["top_k"] = 1
    answers: Any = answerer.answer(options.text, options.question, **settings)
    results.add(question=options.question, answers=answers)
    print_answers(answers, options.text)
    if not answers:
        say(f"  {NO_ANSWER}")


def _answer_file(options: argparse.Namespace, results: Results) -> None:
    from keras_qa.answering.answer_file import answer_file
    from keras_qa.answering.answerer import QuestionAnswerer

    settings: Any = {
        "columns": data.columns(options),
        "text": options.text,
        "top_k": options.top_k,
        "batch_size": options.batch_size,
        "all_spans": options.all_spans,
        **given_options(options, SPANS),
    }
    files = options.input, options.output
    began = time.monotonic()
    unit = "chunk of answers" if options.engine is None else "parts"
    with advise_after_interrupt(f"The same command continues after the last complete {unit}."):
        if options.engine is None:
            answerer = QuestionAnswerer.from_preset(options.file, compile=False)
            done, earlier = answer_file(answerer, *files, **settings)
        else:
            from keras_qa.integrations.ray import answer_files

            done, earlier = answer_files(options.file, *files, workers=options.workers, **settings)
    results.add(output=options.output, questions=done, answered_before=earlier)
    before = f", {earlier:,} were answered before" if earlier else ""
    took = clock(time.monotonic() - began)
    say(f"Answered {done:,} questions in {took}{before}. Wrote {options.output}.")
