"""`keras-qa train`: an answerer from examples, trained to the end and saved."""

from __future__ import annotations

import argparse
import dataclasses
import json
from collections.abc import Sequence
from typing import Any

from keras_qa.cli import data
from keras_qa.cli.options import add_old_spelling, positive
from keras_qa.cli.output import print_scores, say
from keras_qa.datasets import unanswerable
from keras_qa.text import WordVectors

# The second finds chains of facts that the first misses, such as those of bAbI's task 16.
MODELS = ("universal_transformer", "memory_network")

HELP = "train an answerer on texts, questions and answers, and save it"
USAGE = "%(prog)s --data DATA --out FILE.keras [options]"
EPILOG = """\
examples:
  keras-qa train --data questions.csv --out qa.keras
  keras-qa train --data simulated --task 2 --examples 10000 --out qa.keras
  keras-qa train --data train.json --validation-data dev.json --model span_reader \\
      --vectors glove.6B.50d.txt --out reader.keras

Training stops once the number of right answers of the validation part rises no more, and where all
are right, once its loss falls no more.
What is not said here a recipe of the model says: see keras_qa.recipes.recipe_for.
"""

# Options that are fields of a `Recipe`, and arguments of `span_reader`.
RECIPE = (
    "epochs",
    "batch_size",
    "learning_rate",
    "weight_decay",
    "patience",
    "hard_example_share",
    "augment_to",
    "gradient_accumulation_steps",
    "layer_decay",
)
READER = (
    "backbone",
    "tokenizer",
    "lora_rank",
    "adapter",
    "unanswerable",
    "vectors",
    "vectors_words",
    "length",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of the command."""
    _add_run(parser)
    stories = data.add_arguments(parser)
    stories.add_argument(
        "--simulate",
        type=int,
        default=0,
        metavar="N",
        help="simulated questions in place of a training file that the archive lacks (default: "
        "none, and the archive must have all)",
    )
    _add_model(parser)
    _add_reader(parser)
    _add_recipe(parser)


def _add_run(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--out", required=True, metavar="FILE.keras", help="file to save the answerer to"
    )
    parser.add_argument(
        "--resume", action="store_true", help="go on with a run that was broken off"
    )
    parser.add_argument(
        "--results",
        metavar="FILE.json",
        help="file to add what each training came to, such as its errors, to",
    )
    parser.add_argument("--seed", type=int, default=0, help="the first seed (default: %(default)s)")
    parser.add_argument(
        "--seeds",
        type=int,
        default=1,
        metavar="N",
        help="trainings from new first weights, of which the best is kept (default: %(default)s)",
    )
    add_old_spelling(
        parser,
        "--validation",
        parser.add_argument(
            "--validation-data",
            metavar="FILE",
            help="file of examples to choose the best epoch by, like that of --data (default: "
            "bAbI's and simulated stories have a part for it, files have none)",
        ),
    )


def _add_model(parser: argparse.ArgumentParser) -> None:
    model = parser.add_argument_group("the model")
    model.add_argument(
        "--model",
        nargs="+",
        metavar="NAME",
        help="a factory in keras_qa.models, such as answer_classifier, memory_network, "
        "universal_transformer or span_reader; of several, the one that does best on validation "
        f"is kept (default: {MODELS[0]} and, where that leaves errors, {MODELS[1]})",
    )
    model.add_argument(
        "--model-options",
        default="{}",
        metavar="JSON",
        help="further arguments of the factory, such as '{\"units\": 32}'",
    )
    model.add_argument(
        "--dtype",
        help="dtype policy, such as mixed_bfloat16; with --backbone auto, which measures whether "
        "bfloat16 is faster here (default: float32)",
    )


def _add_reader(parser: argparse.ArgumentParser) -> None:
    reader = parser.add_argument_group("for --model span_reader")
    reader.add_argument(
        "--backbone",
        metavar="DIR",
        help="a pretrained encoder: folder in Hugging Face's or KerasHub's layout, hf://..., "
        "minilm, or a preset of KerasHub (default: none, the reader starts from scratch)",
    )
    reader.add_argument(
        "--tokenizer", metavar="FILE", help="tokenizer.json, where it is not beside the backbone"
    )
    reader.add_argument(
        "--lora-rank",
        type=positive,
        metavar="N",
        help="train matrices of this width beside the backbone's own, which stay as they are",
    )
    reader.add_argument(
        "--adapter",
        metavar="FILE.keras",
        help="file to save what --lora-rank has learned to, apart from the backbone",
    )
    reader.add_argument(
        "--unanswerable",
        type=float,
        metavar="SHARE",
        help="ask a share of the questions again, of texts that a search finds for them but that "
        "do not answer them, so that the reader learns to say so; of those to validate on, too",
    )
    reader.add_argument("--vectors", metavar="FILE", help="word vectors: GloVe's text or .npy")
    reader.add_argument("--vectors-words", metavar="FILE", help="the words of a .npy file")
    reader.add_argument(
        "--length",
        type=int,
        metavar="N",
        help="positions of a window: longer texts are read in several",
    )


def _add_recipe(parser: argparse.ArgumentParser) -> None:
    recipe = parser.add_argument_group("how long and how fast to train (default: a recipe)")
    recipe.add_argument("--epochs", type=int, metavar="N", help="passes over the data at most")
    recipe.add_argument("--batch-size", type=int, metavar="N", help="questions a step")
    recipe.add_argument(
        "--gradient-accumulation-steps",
        type=int,
        metavar="N",
        help="batches an update of the weights, as if they were one: takes the memory of a small "
        "batch, and learns as by a large one",
    )
    recipe.add_argument("--learning-rate", type=float, metavar="RATE", help="the highest one")
    recipe.add_argument(
        "--layer-decay",
        type=float,
        metavar="FACTOR",
        help="of the rate, from each block of a published encoder to the one below",
    )
    recipe.add_argument("--weight-decay", type=float, metavar="RATE", help="of AdamW; 0 for Adam")
    recipe.add_argument(
        "--patience", type=int, metavar="N", help="epochs without a rise before training stops"
    )
    share = recipe.add_argument(
        "--hard-example-share",
        type=float,
        metavar="SHARE",
        help="share of the batches that an epoch trains on: those of what is answered wrong",
    )
    sizes = recipe.add_argument(
        "--augment-to",
        type=int,
        nargs="*",
        metavar="N",
        help="bring fewer questions up to N by copies in which words that are used alike have "
        "changed places, where validation shows that it helps; several are tried one after the "
        "other, no number is for no copies",
    )
    add_old_spelling(parser, "--focus", share)
    add_old_spelling(parser, "--enlarge-to", sizes)


def run(options: argparse.Namespace) -> None:
    """Trains an answerer by a recipe and saves it."""
    from keras_qa import recipes

    recipes.check_out(options.out)
    if options.adapter is not None:
        if options.lora_rank is None:
            raise ValueError("`--adapter` needs `--lora-rank`: it is what that has learned.")
        recipes.check_out(options.adapter, "adapter")
    model_options, answerer_options = _options(options)
    train, valid, about = data.training_parts(options)
    if options.unanswerable:
        train, valid = (
            unanswerable.add_unanswerable(part, options.unanswerable, options.seed)
            for part in (train, valid)
        )
    say(f"{len(train):,} questions to train on, {len(valid):,} to validate on.")
    if options.results:
        # What is wrong with the file shows before the training, not after it.
        recipes.add_results(options.results, [])
    try:
        done = recipes.train(
            train,
            valid or None,
            _models(options, bool(valid)),
            model_options,
            recipe=_given(options, RECIPE),
            seed=options.seed,
            seeds=options.seeds,
            out=options.out,
            resume=options.resume,
            answerer_options=answerer_options,
        )
    except KeyboardInterrupt:
        raise KeyboardInterrupt(
            "The same command with --resume goes on after the last epoch that ended."
        ) from None
    say(f"Saved {options.out}.")
    if options.adapter is not None:
        done.answerer.save_adapter(options.adapter)
        say(f"Saved {options.adapter}.")
    if options.results:
        recipes.add_results(
            options.results, [{**about, **dataclasses.asdict(one)} for one in done.runs]
        )
    if valid:
        say(recipes.summary(done))
        print_scores(done.answerer.evaluate(valid))


def _given(options: argparse.Namespace, names: Sequence[str]) -> dict[str, Any]:
    """Those of some options that were given."""
    return {name: getattr(options, name) for name in names if getattr(options, name) is not None}


def _models(options: argparse.Namespace, validated: bool) -> Sequence[str]:
    if options.model is not None:
        return options.model
    # Without validation there is nothing to choose by; options may fit one factory alone.
    return MODELS if validated and options.model_options == "{}" else MODELS[:1]


def _options(options: argparse.Namespace) -> tuple[dict[str, Any], dict[str, Any]]:
    """The arguments of the model's factory, and further ones of the answerer."""
    given = _given(options, READER)
    if given and options.model != ["span_reader"]:
        raise ValueError(
            f"`--{next(iter(given)).replace('_', '-')}` is for --model span_reader. Received: "
            f"--model {' '.join(options.model or MODELS)}."
        )
    model_options = _json("--model-options", options.model_options)
    for name in ("backbone", "tokenizer", "lora_rank"):
        if name in given:
            model_options[name] = given[name]
    if options.dtype == "auto":
        model_options["dtype"] = _fastest(given)
    elif options.dtype:
        model_options["dtype"] = options.dtype
    answerer_options: dict[str, Any] = {}
    if "length" in given:
        answerer_options["length"] = given["length"]
    if "vectors" in given:
        found = WordVectors.load(given["vectors"], given.get("vectors_words"))
        say(f"Read the vectors of {len(found):,} words, {found.dim} numbers each.")
        answerer_options["vectors"] = found
    return model_options, answerer_options


def _fastest(given: dict[str, Any]) -> str:
    from keras_qa import recipes

    if "backbone" not in given:
        raise ValueError(
            "`--dtype auto` measures products of a backbone's size, and there is no --backbone. "
            "Name a dtype policy, such as mixed_bfloat16."
        )
    precision = recipes.choose_precision(given["backbone"])
    say(f"{precision}")
    return precision.dtype


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
