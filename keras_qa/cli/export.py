"""`keras-qa export`: writes a reader as a folder with an ONNX graph."""

from __future__ import annotations

import argparse

from keras_qa.answering.opening import check_names
from keras_qa.cli import data
from keras_qa.cli.output import Results, say
from keras_qa.cli.parsing import (
    READER_HELP,
    CommandParser,
    Option,
    Options,
    add_options,
    given_once,
)

HELP = "export a reader, a ranker or an embedder to ONNX, to answer without Keras"
USAGE = "%(prog)s READER FOLDER [--int8 --data FILE] [options]"
EPILOG = """\
examples:
  keras-qa export reader.keras reader-onnx/
  keras-qa export minilm-squad reader-onnx/ --int8 --data valid.json
READER of `keras-qa answer`, `ask` and `evaluate` may then be the folder, or a graph in it, such as
reader-onnx/onnx/model_quantized.onnx.
"""

OUTPUT: Options = {"output": Option("FOLDER", "the folder, by name")}
INT8: Options = {
    "data": Option(
        "FILE", "with --int8: questions with answers, to compare both graphs", nargs="+"
    ),
    "max_loss": Option(
        "POINTS", "highest loss of F1, in percent (default: %(default)s)", float, 0.5
    ),
}
# What is printed of the scores of a graph.
SCORES = {"exact_match": "exact match", "f1": "F1", "agreement": "agreement"}


def add_arguments(parser: CommandParser) -> None:
    """Adds the options of the command."""
    parser.add_argument("file", metavar="READER", help=READER_HELP)
    parser.add_positional("output", "FOLDER", "the folder to write")
    add_options(parser, OUTPUT)
    small = parser.add_argument_group("weights of int8")
    small.add_argument(
        "--int8",
        action="store_true",
        help="also write a graph with weights of int8, if its answers lose little",
    )
    add_options(small, {**INT8, **data.COLUMNS})


def check(options: argparse.Namespace) -> None:
    """Checks the folder, the data and the reader."""
    options.output = given_once(options, "output")
    if options.output is None:
        raise ValueError("`export` needs the folder to write: FOLDER or --output.")
    if options.int8 != (options.data is not None):
        raise ValueError("`--int8` and `--data` need each other. Give both, or neither.")
    data.check_files(options.data or [], options)
    check_names(options.file)


def run(options: argparse.Namespace, results: Results) -> int:
    """Exports the reader, and prints what the weights of int8 cost.

    Returns:
        The exit code: 1 if the weights of int8 lose too much, and no graph of them was written.
    """
    from keras_qa.answering.loading import load
    from keras_qa.answering.verification import open_classifier
    from keras_qa.onnx import export

    folder = options.output
    options.lenient = False
    examples = data.from_files(options.data, options) if options.int8 else None
    model = load(options.file, compile=False)
    # The folder of a classifier is for `verify`, too.
    model = open_classifier(options.file, model) or model
    scores = export(model, folder, options.int8, examples, options.max_loss)
    say(f"Wrote {folder}.")
    results.add(output=folder, int8=scores)
    if scores is None:
        return 0
    for name, graph in (("float32", scores.float32), ("int8", scores.int8)):
        rate = graph.scores["examples"] / max(graph.seconds, 1e-9)
        shown = [
            f"{SCORES[key]} {value:.2f} %" for key, value in graph.scores.items() if key in SCORES
        ]
        size = f"{name:8} {graph.size / 1e6:7.1f} MB"
        say("  ".join([size, f"{rate:7.1f} questions a second", *shown]))
    kept = "Wrote onnx/model_quantized.onnx" if scores.is_kept else "Wrote no int8 graph"
    lost = f"{scores.loss:.2f} {SCORES[scores.score]}"
    say(f"{kept}: it loses {lost}, and {options.max_loss:g} may be lost.")
    return 0 if scores.is_kept else 1
