"""`keras-qa evaluate`: scores the answers of a saved answerer."""

from __future__ import annotations

import argparse
import json
import pathlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

from keras_qa.answering.opening import check_names
from keras_qa.cli import data
from keras_qa.cli.ask import RANKER, load_ranker
from keras_qa.cli.indexing import READING, check_index, open_index
from keras_qa.cli.output import Results, print_scores, say
from keras_qa.cli.parsing import (
    READER_HELP,
    Option,
    Options,
    add_options,
    given_options,
    keras_file,
    option_name,
)

if TYPE_CHECKING:
    from keras_qa.report import Report

MODELS = ("file", "ranker")
HELP = "measure how many questions a saved answerer gets right"
USAGE = "%(prog)s READER --data DATA [options]"
EPILOG = """\
examples:
  keras-qa evaluate qa.keras --data questions.csv
  keras-qa evaluate qa.keras --data simulated --task 1 --report report.html
  keras-qa evaluate reader.keras --data dev-v2.0.json more.json --report report.html
  keras-qa evaluate reader.keras --index handbook.index --data questions.json
  keras-qa evaluate reader.keras --index handbook.index --data questions.json \\
      --fit --output calibrated.keras
"""

SPLIT = Option(
    "PART",
    "part of the stories: %(choices)s (default: %(default)s)",
    default="valid",
    choices=("train", "valid", "test"),
)
SCORES: Options = {
    "report": Option("FILE.html", "write an HTML page of scores, calibration and wrong answers"),
    "version": Option(
        "VERSION",
        "version of SQuAD's scores: %(choices)s (default: 2.0 if a question has no answer)",
        choices=("1.1", "2.0"),
    ),
}
DOCUMENTS: Options = {
    "index": Option("FILE.index", "answer from this index; repeat it for several", action="append"),
    "ranker": RANKER,
    **READING,
    "output": Option("FILE.keras", "with --fit: file to save the calibrated reader to", keras_file),
}

# Fields of a report that `--json` prints.
REPORTED = (
    *("calibration_error", "version", "official"),
    *("located", "recall", "right", "refused"),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of the command."""
    parser.add_argument("file", metavar="READER", help=READER_HELP)
    data.add_arguments(parser, {"split": SPLIT})
    add_options(parser.add_argument_group("scores"), SCORES)
    documents = parser.add_argument_group("answers from documents")
    add_options(documents, DOCUMENTS)
    documents.add_argument(
        "--fit",
        action="store_true",
        default=None,
        help="first calibrate the scores on this data",
    )


def check(options: argparse.Namespace) -> None:
    """Checks the options together, the data, the indexes and the models."""
    for name in given_options(options, ("ranker", *READING, "fit", "output")):
        if not options.index:
            raise ValueError(
                f"`{option_name(name)}` is for asking documents: name them by `--index`."
            )
    if options.output is not None and not options.fit:
        raise ValueError("`--output` saves what `--fit` calibrates: give both, or neither.")
    data.check_files(options.data, options)
    for path in options.index or []:
        check_index(path)
    check_names(options.file, options.ranker)


def run(options: argparse.Namespace, results: Results) -> None:
    """Evaluates a saved answerer, and writes the report if `--report` is given."""
    from keras_qa import report
    from keras_qa.answering.answerer import QuestionAnswerer
    from keras_qa.report.evaluation import has_spans
    from keras_qa.report.findings import coverage_steps

    answerer = QuestionAnswerer.from_preset(options.file, compile=False)
    examples = data.examples(options, options.split)
    title = f"{pathlib.Path(options.file).name} on {', '.join(options.data)}"
    if options.index:
        settings = given_options(options, ("passages", "no_answer"))
        title += f", asked of {', '.join(options.index)}"
        settings["ranker"] = load_ranker(options.ranker)
        with open_index(options.index, options.embed) as index:
            if options.fit:
                _say_calibrated(answerer.calibrate(index, examples, **settings).precisions)
            if options.output is not None:
                answerer.save(options.output)
                say(f"Saved {options.output}.")
            result = report.evaluate(answerer, examples, index, version=options.version, **settings)
        print_scores(result.scores)
        _print_retrieval(result)
    elif options.report or options.version or has_spans(examples):
        result = report.evaluate(answerer, examples, version=options.version)
        print_scores(result.scores)
        if result.official:
            say(f"Official scores of SQuAD {result.version}: {json.dumps(result.official)}")
    else:
        scores = answerer.evaluate(examples)
        results.add(**scores)
        print_scores(scores)
        return
    results.add(
        **result.scores,
        **{name: getattr(result, name) for name in REPORTED},
        coverage=coverage_steps(result.points, 5),
        report=options.report,
        output=options.output,
    )
    if options.report:
        result.save(options.report, title)
        say(f"Wrote {options.report}.")


def _say_calibrated(precisions: Sequence[float]) -> None:
    most = int(100 * max(precisions, default=0.0)) / 100
    use = f"for `--min-precision` of at most {most:g}" if most else "too few for `--min-precision`"
    say(f"Calibrated on these questions, {use}.")


def _print_retrieval(result: Report) -> None:
    """Prints the recall of retrieval, right answers, and the risk for fifths of the questions."""
    from keras_qa.report.findings import coverage_steps

    if result.recall:
        shares = ", ".join(f"{share:.1f} % at {most}" for most, share in result.recall.items())
        say(f"recall of the passage {shares}, {result.located:,} examples with a known passage")
    if result.right is not None:
        say(f"right with at most three more words: {result.right:.1f} %")
    if result.refused is not None:
        say(f"refused without an answer in the documents: {result.refused:.1f} %")
    say(f"calibration error {result.calibration_error:.3f}")
    for point in coverage_steps(result.points, 5):
        say(
            f"answered {point.coverage:6.1%}, wrong {point.risk:6.1%} of these, "
            f"scores from {point.threshold:.3f}"
        )
