"""`keras-qa train` and `keras-qa evaluate`."""

from __future__ import annotations

import argparse
import dataclasses
import pathlib

from keras_qa import recipes, report
from keras_qa.answerer import load
from keras_qa.cli import data


def train(options: argparse.Namespace) -> None:
    """Trains an answerer by a recipe and saves it."""
    recipes.check_out(options.out)
    names = ("epochs", "batch_size", "learning_rate", "patience")
    given = {name: getattr(options, name) for name in names if getattr(options, name) is not None}
    recipe = dataclasses.replace(recipes.DEFAULT, **given)
    train, valid, about = data.training_parts(options)
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
        print_scores(done.answerer.evaluate(valid))


def evaluate(options: argparse.Namespace) -> None:
    """Measures a saved answerer, and writes the report where one is asked for."""
    answerer, examples = load(options.file), data.examples(options, options.split)
    if not options.report:
        print_scores(answerer.evaluate(examples))
        return
    found = report.evaluate(answerer, examples)
    print_scores(found.scores)
    found.save(options.report, f"{pathlib.Path(options.file).name} on {options.data}")
    print(f"Wrote {options.report}.")


def print_scores(scores: dict[str, float]) -> None:
    """Prints a line of scores."""
    print(
        f"exact match {scores['exact_match']:.1f} %, F1 {scores['f1']:.1f} %, "
        f"{scores['examples']} examples"
    )
