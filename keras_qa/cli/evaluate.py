"""`keras-qa evaluate`: how many answers of a saved answerer are right."""

from __future__ import annotations

import argparse
import json
import pathlib

from keras_qa.cli import data
from keras_qa.cli.output import print_scores, say

HELP = "measure how many questions a saved answerer gets right"
USAGE = "%(prog)s READER --data DATA [options]"
EPILOG = """\
examples:
  keras-qa evaluate qa.keras --data questions.csv
  keras-qa evaluate qa.keras --data simulated --task 1 --report report.html
  keras-qa evaluate reader.keras --data dev-v2.0.json --report report.html
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of the command."""
    parser.add_argument(
        "file",
        metavar="READER",
        help="a .keras file, as `keras-qa train` saves it; or a published reader, as in `answer`",
    )
    stories = data.add_arguments(parser)
    stories.add_argument(
        "--split",
        default="valid",
        choices=("train", "valid", "test"),
        help="part of the archive to measure on: %(choices)s (default: %(default)s)",
        metavar="PART",
    )
    scores = parser.add_argument_group("scores")
    scores.add_argument(
        "--report",
        metavar="FILE.html",
        help="write a page about what goes wrong: by kind of question, with examples",
    )
    scores.add_argument(
        "--version",
        choices=("1.1", "2.0"),
        help="of SQuAD's official scores, for data that says where answers stand (default: 2.0 "
        "where a question has no answer, else 1.1)",
    )


def run(options: argparse.Namespace) -> None:
    """Measures a saved answerer, and writes the report where one is asked for."""
    from keras_qa import report
    from keras_qa.answering import load

    answerer, examples = load(options.file), data.examples(options, options.split)
    if not (options.report or options.version or report.about_spans(examples)):
        print_scores(answerer.evaluate(examples))
        return
    found = report.evaluate(answerer, examples, version=options.version)
    print_scores(found.scores)
    if found.official:
        say(f"Official scores of SQuAD {found.version}: {json.dumps(found.official)}")
    if options.report:
        found.save(options.report, f"{pathlib.Path(options.file).name} on {options.data}")
        say(f"Wrote {options.report}.")
