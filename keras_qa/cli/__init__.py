"""The `keras-qa` command. Every command is a few calls that a user could write in Python."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from typing import Any

from keras_qa import _backend


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line.

    Args:
        arguments: What stands after `keras-qa`. `None` for `sys.argv`.

    Returns:
        0, or 2 after an error that was printed in one line.
    """
    options = _parser().parse_args(arguments)
    _choose_backend()
    if _backend.problem() is not None:
        return _fail(_backend.problem())
    try:
        options.run(options)
    except (ImportError, OSError, TypeError, ValueError) as error:
        return _fail(error)
    except KeyboardInterrupt:
        return _fail("interrupted.")
    return 0


def _fail(error: Any) -> int:
    print(f"keras-qa: error: {error}", file=sys.stderr)
    return 2


def _choose_backend() -> None:
    # TensorFlow prints a page about the processor before the first word of an answer.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    found = _backend.installed()
    if not os.environ.get("KERAS_BACKEND") and len(found) == 1:
        os.environ["KERAS_BACKEND"] = found[0]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="keras-qa", description="Question answering with Keras: strings in, answers out."
    )
    commands = parser.add_subparsers(required=True, metavar="command")

    quickstart = commands.add_parser(
        "quickstart", help="train on simulated stories and answer questions, in under a minute"
    )
    quickstart.add_argument("--seed", type=int, default=0, help="seed of stories and weights")
    quickstart.set_defaults(run=_quickstart)

    train = commands.add_parser("train", help="train an answerer and save it")
    _add_data(train)
    train.add_argument(
        "--model",
        nargs="+",
        help="a factory in keras_qa.models; of several, the one that does best on validation is "
        "kept (default: universal_transformer and, where that leaves errors, memory_network)",
    )
    train.add_argument("--out", required=True, metavar="FILE.keras", help="where to save")
    train.add_argument(
        "--validation-data",
        "--validation",
        metavar="FILE",
        help="file of examples to validate on, like that of --data",
    )
    train.add_argument(
        "--simulate",
        type=int,
        default=0,
        metavar="N",
        help="number of simulated questions where the archive lacks a training file",
    )
    reader = train.add_argument_group("for --model span_reader")
    reader.add_argument(
        "--backbone",
        metavar="DIR",
        help="folder of an encoder in Hugging Face's or KerasHub's layout, hf://..., or a preset "
        "of KerasHub",
    )
    reader.add_argument(
        "--tokenizer", metavar="FILE", help="tokenizer.json, where it is not beside the backbone"
    )
    reader.add_argument(
        "--vectors", metavar="FILE", help="word vectors: GloVe's or word2vec's text, .bin or .npy"
    )
    reader.add_argument("--vectors-words", metavar="FILE", help="the words of a .npy file")
    reader.add_argument("--length", type=int, help="positions of a window of the text")
    train.add_argument(
        "--model-options",
        default="{}",
        metavar="JSON",
        help="further arguments of the factory, such as '{\"units\": 32}'",
    )
    train.add_argument("--dtype", help="dtype policy of the model, such as mixed_bfloat16")
    train.add_argument("--epochs", type=int, help="at most; see keras_qa.recipes.recipe_for")
    train.add_argument("--batch-size", type=int)
    train.add_argument("--learning-rate", type=float)
    train.add_argument("--weight-decay", type=float)
    train.add_argument("--patience", type=int, help="epochs without a rise before training stops")
    train.add_argument(
        "--hard-example-share",
        "--focus",
        type=float,
        metavar="SHARE",
        help="share of the batches that an epoch trains on: those of what is answered wrong",
    )
    train.add_argument(
        "--augment-to",
        "--enlarge-to",
        type=int,
        nargs="*",
        metavar="N",
        help="bring fewer questions up to N by copies in which words that are used alike have "
        "changed places, where validation shows that it helps; several are tried one after the "
        "other, no number is for no copies (default: 3600 9000 for models that reason over "
        "stories)",
    )
    train.add_argument("--seed", type=int, default=0, help="the first seed")
    train.add_argument("--seeds", type=int, default=1, metavar="N", help="number of seeds")
    train.add_argument("--resume", action="store_true", help="go on with a run that was broken off")
    train.add_argument("--results", metavar="FILE.json", help="file to add the results to")
    train.set_defaults(run=_train)

    evaluate = commands.add_parser("evaluate", help="measure a saved answerer on examples")
    evaluate.add_argument("file", metavar="FILE.keras")
    _add_data(evaluate)
    evaluate.add_argument(
        "--split", default="valid", choices=("train", "valid", "test"), help="part of bAbI"
    )
    evaluate.add_argument(
        "--version",
        choices=("1.1", "2.0"),
        help="of the official scores of SQuAD; 2.0 where a question has no answer",
    )
    evaluate.add_argument("--report", metavar="FILE.html", help="page to write about the errors")
    evaluate.set_defaults(run=_evaluate)

    answer = commands.add_parser(
        "answer", help="answer a question about a text, or all questions of a file"
    )
    answer.add_argument("file", metavar="FILE.keras")
    answer.add_argument("--text", metavar="FILE", help="a text file, or - for stdin")
    answer.add_argument("--question", help="the question about it")
    answer.add_argument(
        "--input",
        metavar="FILE",
        help="a .jsonl, .csv, .tsv or .parquet file with the columns text and question and, where "
        "there is one, id; or SQuAD's .json",
    )
    answer.add_argument(
        "--output",
        metavar="FILE.jsonl",
        help="file to write their answers to; the same command goes on with it if it was broken "
        "off",
    )
    answer.add_argument("--top-k", type=int, help="number of answers a question")
    answer.add_argument("--batch-size", type=int, default=32, help="questions a step")
    _add_columns(answer)
    answer.set_defaults(run=_answer)
    return parser


def _add_data(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--data",
        required=True,
        help="babi, simulated (tasks 1, 2, 3, 6, 15), SQuAD's .json, or a .csv, .tsv, .jsonl or "
        ".parquet file",
    )
    parser.add_argument(
        "--lenient",
        action="store_true",
        help="leave out questions whose answer is not where answer_start says, and count them",
    )
    parser.add_argument("--task", type=_task, default=1, help="bAbI task, from 1 to 20, or all")
    parser.add_argument("--path", help="bAbI archive or folder; downloaded where this is not given")
    parser.add_argument("--variant", default="en-valid-10k", help="folder of the bAbI archive")
    parser.add_argument("--examples", type=int, default=1_000, help="number of simulated examples")
    _add_columns(parser)


def _add_columns(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--columns",
        default="",
        metavar="text=NAME,question=NAME,...",
        help="columns of a file, where they are not named text (or context), question, answers "
        "(or answer), answer_start and id",
    )


def _task(value: str) -> int | str:
    return value if value == "all" else int(value)


# What follows imports Keras: not before a command needs it, and its backend is chosen.


def _quickstart(options: argparse.Namespace) -> None:
    from keras_qa.cli import quickstart

    quickstart.run(options)


def _train(options: argparse.Namespace) -> None:
    from keras_qa.cli import training

    training.train(options)


def _evaluate(options: argparse.Namespace) -> None:
    from keras_qa.cli import training

    training.evaluate(options)


def _answer(options: argparse.Namespace) -> None:
    from keras_qa.cli import answering

    answering.run(options)
