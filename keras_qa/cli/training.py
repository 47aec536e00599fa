"""`keras-qa train` and `keras-qa evaluate`."""

from __future__ import annotations

import argparse
import dataclasses
import json
import pathlib
from typing import Any

from keras_qa import recipes, report
from keras_qa.answering import load
from keras_qa.cli import data
from keras_qa.text import WordVectors

# The second finds chains of facts that the first misses, such as those of bAbI's task 16.
MODELS = ("universal_transformer", "memory_network")


def train(options: argparse.Namespace) -> None:
    """Trains an answerer by a recipe and saves it."""
    recipes.check_out(options.out)
    names = (
        "epochs",
        "batch_size",
        "learning_rate",
        "weight_decay",
        "patience",
        "hard_example_share",
    )
    given = {name: getattr(options, name) for name in names if getattr(options, name) is not None}
    if options.augment_to is not None:
        given["augment_to"] = tuple(options.augment_to)
    model_options, answerer_options = _options(options)
    train, valid, about = data.training_parts(options)
    models = options.model
    if models is None:
        # Without validation there is nothing to choose by; options may fit one factory alone.
        models = MODELS if valid and options.model_options == "{}" else MODELS[:1]
    print(f"{len(train):,} questions to train on, {len(valid):,} to validate on.")
    try:
        done = recipes.train(
            train,
            valid or None,
            models,
            model_options,
            recipe=given,
            seed=options.seed,
            seeds=options.seeds,
            out=options.out,
            resume=options.resume,
            answerer_options=answerer_options,
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


def _options(options: argparse.Namespace) -> tuple[dict[str, Any], dict[str, Any]]:
    """The arguments of the model's factory, and further ones of the answerer."""
    names = ("backbone", "tokenizer", "vectors", "vectors_words", "length")
    given = {name: getattr(options, name) for name in names if getattr(options, name) is not None}
    if given and options.model != ["span_reader"]:
        raise ValueError(
            f"`--{next(iter(given)).replace('_', '-')}` is for --model span_reader. Received: "
            f"--model {' '.join(options.model or MODELS)}."
        )
    model_options = _json("--model-options", options.model_options)
    for name in ("backbone", "tokenizer"):
        if name in given:
            model_options[name] = given[name]
    if options.dtype:
        model_options["dtype"] = options.dtype
    answerer_options: dict[str, Any] = {}
    if "length" in given:
        answerer_options["length"] = given["length"]
    if "vectors" in given:
        found = WordVectors.load(given["vectors"], given.get("vectors_words"))
        print(f"Read the vectors of {len(found):,} words, {found.dim} numbers each.")
        answerer_options["vectors"] = found
    return model_options, answerer_options


def _json(name: str, text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except json.JSONDecodeError:
        found = None
    if not isinstance(found, dict):
        raise ValueError(
            f'`{name}` must be a JSON object, such as {{"units": 32}}. Received: {text!r}.'
        )
    return found


def evaluate(options: argparse.Namespace) -> None:
    """Measures a saved answerer, and writes the report where one is asked for."""
    answerer, examples = load(options.file), data.examples(options, options.split)
    if not (options.report or options.version or report.about_spans(examples)):
        print_scores(answerer.evaluate(examples))
        return
    found = report.evaluate(answerer, examples, version=options.version)
    print_scores(found.scores)
    if found.official:
        print(f"Official scores of SQuAD {found.version}: {json.dumps(found.official)}")
    if options.report:
        found.save(options.report, f"{pathlib.Path(options.file).name} on {options.data}")
        print(f"Wrote {options.report}.")


def print_scores(scores: dict[str, float]) -> None:
    """Prints a line of scores."""
    print(
        f"exact match {scores['exact_match']:.1f} %, F1 {scores['f1']:.1f} %, "
        f"{scores['examples']} examples"
    )
