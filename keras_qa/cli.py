"""The `keras-qa` command. Every command is a few calls that a user could write in Python."""

from __future__ import annotations

import argparse
import dataclasses
import os
import pathlib
import sys
from collections.abc import Sequence
from typing import Any

from keras_qa import _backend

# Enough to answer 98 % of unseen questions, in well under a minute on two cores.
QUICKSTART_EXAMPLES = 2_000
QUICKSTART_UNSEEN = 500
QUICKSTART_RECIPE: dict[str, Any] = {
    "epochs": 8,
    "batch_size": 32,
    "learning_rate": 4e-3,
    "warmup": 0.1,
}
QUICKSTART_OPTIONS = {
    "embedding_dim": 32,
    "hidden_dim": 128,
    "num_steps": 2,
    "num_heads": 4,
    "num_roles": 1,
    "encoding": "matrix",
}
QUICKSTART_STORY = (
    "Mary moved to the bathroom.\nJohn went to the hallway.\nMary went to the garden."
)


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
        "--model", default="universal_transformer", help="a factory in keras_qa.models"
    )
    train.add_argument("--out", required=True, metavar="FILE.keras", help="where to save")
    train.add_argument("--validation", metavar="FILE", help="file of examples to validate on")
    train.add_argument(
        "--simulate",
        type=int,
        default=0,
        metavar="N",
        help="number of simulated questions where the archive lacks a training file",
    )
    train.add_argument("--epochs", type=int, help="at most; see keras_qa.recipes.DEFAULT")
    train.add_argument("--batch-size", type=int)
    train.add_argument("--learning-rate", type=float)
    train.add_argument("--patience", type=int, help="epochs without a rise before training stops")
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
    evaluate.add_argument("--report", metavar="FILE.html", help="page to write about the errors")
    evaluate.set_defaults(run=_evaluate)

    answer = commands.add_parser("answer", help="answer a question about a text")
    answer.add_argument("file", metavar="FILE.keras")
    answer.add_argument("--text", required=True, metavar="FILE", help="a text file, or - for stdin")
    answer.add_argument("--question", required=True)
    answer.add_argument("--top-k", type=int, default=1, help="number of answers")
    answer.set_defaults(run=_answer)
    return parser


def _add_data(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--data",
        required=True,
        help="babi, simulated (tasks 1, 2, 3, 6, 15), or a .csv, .tsv, .jsonl or .parquet file",
    )
    parser.add_argument("--task", type=_task, default=1, help="bAbI task, from 1 to 20, or all")
    parser.add_argument("--path", help="bAbI archive or folder; downloaded where this is not given")
    parser.add_argument("--variant", default="en-valid-10k", help="folder of the bAbI archive")
    parser.add_argument("--examples", type=int, default=1_000, help="number of simulated examples")
    parser.add_argument(
        "--columns",
        default="",
        metavar="text=NAME,question=NAME,answers=NAME",
        help="columns of a file, where they are not named text, question and answers",
    )


def _task(value: str) -> int | str:
    return value if value == "all" else int(value)


def _tasks(options: argparse.Namespace) -> list[int]:
    from keras_qa.datasets import babi

    if options.task != "all":
        return [options.task]
    return list(babi.SIMULATED if options.data == "simulated" else range(1, 21))


def _examples(options: argparse.Namespace, split: str) -> list[Any]:
    from keras_qa.datasets import babi

    if options.data == "babi":
        parts = [babi.load(task, split, options.path, options.variant) for task in _tasks(options)]
    elif options.data == "simulated":
        seed = babi.SEEDS[split]
        count = options.examples if split != "valid" else max(200, options.examples // 10)
        parts = [babi.simulate(task, count, seed) for task in _tasks(options)]
    else:
        return _from_file(options.data, options.columns)
    return [example for part in parts for example in part]


def _from_file(path: str, columns: str) -> list[Any]:
    from keras_qa.datasets import tables

    pairs = [pair.split("=", 1) for pair in columns.split(",") if pair]
    if any(len(pair) != 2 for pair in pairs):
        raise ValueError(
            f"`--columns` must look like text=NAME,question=NAME. Received: {columns!r}."
        )
    names: dict[str, Any] = dict(pairs)
    return tables.load(path, **names)


def _quickstart(options: argparse.Namespace) -> None:
    import keras

    from keras_qa import recipes
    from keras_qa.datasets import babi

    count = QUICKSTART_EXAMPLES
    print(f"keras-qa on {keras.config.backend()}: {count:,} simulated questions of bAbI task 1.")
    stories = babi.simulate(task=1, examples=count + QUICKSTART_UNSEEN, seed=options.seed)
    answerer = recipes.train(
        stories[:count],
        model="universal_transformer",
        model_options=QUICKSTART_OPTIONS,
        recipe=recipes.Recipe(**QUICKSTART_RECIPE),
        seed=options.seed,
    ).answerer
    scores = answerer.evaluate(stories[count:])
    print(f"\nRight on {scores['exact_match']:.1f} % of {scores['examples']} unseen questions.\n")
    print(QUICKSTART_STORY)
    for question in ("Where is Mary?", "Where is John?"):
        print(f"\n{question}")
        answers = answerer.answer(QUICKSTART_STORY, question, top_k=3)
        _print_answers(answers)
        print(f"  It rests on: {answers[0].support[0].text}")
    print(
        "\nTry next:\n"
        "  keras-qa train --data simulated --task 2 --examples 10000 --out qa.keras\n"
        '  keras-qa answer qa.keras --text story.txt --question "Where is the milk?"\n'
        "  keras-qa train --data questions.csv --out mine.keras    "
        "# columns: text, question, answers"
    )


def _train(options: argparse.Namespace) -> None:
    from keras_qa import recipes

    recipes.check_out(options.out)
    names = ("epochs", "batch_size", "learning_rate", "patience")
    given = {name: getattr(options, name) for name in names if getattr(options, name) is not None}
    recipe = dataclasses.replace(recipes.DEFAULT, **given)
    train, valid, about = _training_parts(options)
    print(f"{len(train):,} questions to train on, {len(valid):,} to validate on.")
    try:
        done = recipes.train(
            train,
            valid or None,
            options.model,
            recipe=recipe,
            seed=options.seed,
            seeds=options.seeds,
            out=options.out,
            resume=options.resume,
        )
    except KeyboardInterrupt:
        print("\nThe same command with --resume goes on after the last epoch that ended.")
        raise
    print(f"Saved {options.out}.")
    if options.results:
        recipes.add_results(
            options.results, [{**about, **dataclasses.asdict(run)} for run in done.runs]
        )
    if valid:
        print(recipes.summary(done))
        _print_scores(done.answerer.evaluate(valid))


def _training_parts(options: argparse.Namespace) -> tuple[list[Any], list[Any], dict[str, Any]]:
    """Examples to train and to validate on, and what results say of them."""
    from keras_qa.datasets import babi

    about = {"data": options.data, "task": None, "variant": None, "simulated": 0}
    if options.data == "babi":
        parts = babi.load_tasks(
            _tasks(options), options.path, options.variant, options.simulate, options.seed
        )
        for note in parts.notes:
            print(note)
        train, valid = parts.train, parts.valid
        about.update(task=options.task, variant=options.variant, simulated=parts.simulated)
    else:
        train, valid = _examples(options, "train"), []
        if options.data == "simulated":
            valid = _examples(options, "valid")
            about.update(task=options.task, simulated=len(train) + len(valid))
    if options.validation:
        valid = _from_file(options.validation, options.columns)
    return train, valid, about


def _evaluate(options: argparse.Namespace) -> None:
    from keras_qa import report
    from keras_qa.answerer import load

    answerer, examples = load(options.file), _examples(options, options.split)
    if not options.report:
        _print_scores(answerer.evaluate(examples))
        return
    found = report.evaluate(answerer, examples)
    _print_scores(found.scores)
    found.save(options.report, f"{pathlib.Path(options.file).name} on {options.data}")
    print(f"Wrote {options.report}.")


def _answer(options: argparse.Namespace) -> None:
    from keras_qa.answerer import load

    if options.text == "-":
        text = sys.stdin.read()
    else:
        path = pathlib.Path(options.text)
        if not path.is_file():
            raise ValueError(
                f"There is no text file {options.text!r}. Give a file, or - to read the text "
                "from standard input."
            )
        text = path.read_text(encoding="utf-8")
    _print_answers(load(options.file).answer(text, options.question, top_k=options.top_k))


def _print_scores(scores: dict[str, float]) -> None:
    print(
        f"exact match {scores['exact_match']:.1f} %, F1 {scores['f1']:.1f} %, "
        f"{scores['examples']} examples"
    )


def _print_answers(answers: Sequence[Any]) -> None:
    for answer in answers:
        print(f"  {answer.score:6.1%}  {answer.text}")
