"""`keras-qa train`: trains an answerer on examples and saves it."""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
from collections.abc import Sequence
from typing import Any

from keras_qa.answering.opening import check_names
from keras_qa.cli import data
from keras_qa.cli.indexing import check_index
from keras_qa.cli.interrupts import advise_after_interrupt
from keras_qa.cli.output import Results, print_scores, say, say_warnings, show_epochs
from keras_qa.cli.parsing import (
    Option,
    Options,
    add_options,
    amount,
    given_options,
    keras_file,
    option_name,
    positive,
    share,
)
from keras_qa.data import unanswerable
from keras_qa.example import Example
from keras_qa.text import WordVectors

# The default models. The second solves tasks that the first does not, such as bAbI's task 16.
DEFAULT_MODELS = ("universal_transformer", "memory_network")

# Factories of `keras_qa.models` that have a recipe.
FACTORIES = (
    *("answer_classifier", "memory_network", "multiple_choice"),
    *("span_reader", "universal_transformer"),
)

HELP = "train an answerer on texts, questions and answers, and save it"
USAGE = "%(prog)s --data DATA --output FILE.keras [options]"
EPILOG = """\
examples:
  keras-qa train --data questions.csv --output qa.keras
  keras-qa train --data simulated --task 2 --examples 10000 --output qa.keras
  keras-qa train --data train.json --validation-data dev.json --model span_reader \\
      --vectors glove.6B.50d.txt --output reader.keras
  keras-qa train --from minilm-squad --data mine.csv --validation-data held_out.csv \\
      --output mine.keras
  keras-qa train --from minilm-squad --index handbook.index --data questions.csv \\
      --output mine.keras
  keras-qa train --data boolq/train.jsonl --validation-data boolq/valid.jsonl \\
      --model span_reader --backbone minilm --answer-types span yes no --output reader.keras

Training stops when the accuracy on the validation data no longer rises, or, if all of its answers
are right, when its loss no longer falls.
Options that are not given come from the model's recipe.
"""

RUN: Options = {
    "output": Option("FILE.keras", "file to save the answerer to", keras_file, required=True),
    "validation_data": Option(
        "FILE",
        "files of examples that choose the best epoch (default: those of the stories)",
        nargs="+",
        action="extend",
    ),
    "index": Option(
        "FILE.index",
        "find the passages of the questions in this index: the data need only questions and "
        "answers, and, if known, documents and the text that answers",
    ),
    "results": Option("FILE.json", "file to append the results of each training to"),
    "seed": Option("N", "the first seed (default: %(default)s)", int, 0),
    "seeds": Option(
        "N", "trainings with different seeds; the best is saved (default: %(default)s)", positive, 1
    ),
    "devices": Option("N", "devices of this machine to divide each batch among", positive),
}
SIMULATE = Option("N", "questions to simulate for a task without a training file", int, 0)
MODEL: Options = {
    "from": Option(
        "READER",
        "an answerer or a ranker to train further, as for `answer`; with --validation-data the "
        "result is never worse on these, without them nothing is compared",
    ),
    "model": Option(
        "NAME",
        "a factory in keras_qa.models, such as span_reader or multiple_choice; of several, the "
        f"best is saved (default: {DEFAULT_MODELS[0]} and, if it errs, {DEFAULT_MODELS[1]})",
        nargs="+",
        choices=FACTORIES,
    ),
    "model_options": Option(
        "JSON", "further arguments of the factory, such as '{\"units\": 32}'", default="{}"
    ),
    "dtype": Option("POLICY", "dtype policy, such as mixed_bfloat16 (default: float32)"),
}
# Options of a new model that a trained one cannot take.
_NEW = ("model", "backbone", "answer_types", "vectors", "dtype")
# Options that are for `span_reader` and `multiple_choice` only.
READER: Options = {
    "backbone": Option(
        "DIR",
        "a pretrained encoder: minilm, a folder in Hugging Face's layout, or hf://...; for "
        "multiple_choice also a ranker or a reader (default: none, trained from scratch)",
    ),
    "answer_types": Option(
        "TYPE",
        "of %(choices)s: span, and yes or no or both (default: span)",
        nargs="+",
        choices=("span", "yes", "no"),
    ),
    "lora_rank": Option("N", "train LoRA of this rank instead of all weights", positive),
    "adapter": Option(
        "FILE.keras", "file to save the LoRA weights to, without the backbone", keras_file
    ),
    "unanswerable": Option(
        "SHARE", "share of the questions to repeat with a text that does not answer them", share
    ),
    "unanswerable_kinds": Option(
        "KIND",
        "of %(choices)s: a similar text, the text without the answer, or another question "
        "(default: found)",
        nargs="+",
        choices=unanswerable.KINDS,
    ),
    "vectors": Option("FILE", "word vectors in GloVe's text format"),
    "max_length": Option("N", "positions of a window; a longer text is read in several", positive),
}
# Number of rows that a message names.
_SHOWN_ROWS = 5
# Fields of `Recipe`.
RECIPE: Options = {
    "epochs": Option("N", "largest number of epochs", positive),
    "steps_per_epoch": Option("N", "steps in an epoch, if not a pass over the data", positive),
    "batch_size": Option("N", "questions per step", positive),
    "gradient_accumulation_steps": Option("N", "batches per update of the weights", positive),
    "learning_rate": Option("RATE", "the highest learning rate", amount),
    "weight_decay": Option("RATE", "weight decay of AdamW; 0 for Adam", amount),
    "patience": Option("N", "epochs without improvement before training stops", positive),
    "hard_example_share": Option("SHARE", "share of the batches with wrong answers first", share),
    "keep": Option("EPOCH", "best, by the validation accuracy, or last", choices=("best", "last")),
    "augment_to": Option("N", "numbers of questions to augment to; none: off", int, nargs="*"),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of the command."""
    add_options(parser, RUN)
    parser.add_argument("--resume", action="store_true", help="continue an interrupted run")
    parser.add_argument(
        "--keep-optimizer",
        action="store_true",
        help="save the optimizer's state too, in a file three times as large",
    )
    data.add_arguments(parser, {"simulate": SIMULATE})
    for title, options in (
        ("the model", MODEL),
        ("for --model span_reader or multiple_choice", READER),
        ("how long and how fast to train (default: a recipe)", RECIPE),
    ):
        add_options(parser.add_argument_group(title), options)


def check(options: argparse.Namespace) -> None:
    """Checks the options together, the data, the index and the models."""
    if options.adapter is not None and options.lora_rank is None:
        raise ValueError("`--adapter` needs `--lora-rank`: it saves the weights of LoRA.")
    start = _start(options)
    _options(options, start)
    text = "" if options.index is not None else None
    data.check_files(options.data, options, text=text)
    data.check_files(options.validation_data or [], options, text=text)
    if options.index is not None:
        check_index(options.index)
    check_names(start, options.backbone)
    if options.vectors is not None and not os.path.isfile(options.vectors):
        raise FileNotFoundError(f"There is no file {options.vectors!r}.")


def _start(options: argparse.Namespace) -> str | None:
    # `from` is a keyword of Python.
    start: str | None = vars(options)["from"]
    return start


def run(options: argparse.Namespace, results: Results) -> None:
    """Trains an answerer by a recipe and saves it."""
    from keras_qa import training
    from keras_qa.training.results import add_results

    start = _start(options)
    model_options, answerer_options = _options(options, start)
    if options.vectors is not None:
        vectors = answerer_options["vectors"] = WordVectors.load(options.vectors)
        say(f"Read the vectors of {len(vectors):,} words, {vectors.dim} numbers each.")
    train, valid, about = data.training_parts(options)
    if options.index is not None:
        train, valid = _find_passages(options.index, train, valid)
    if options.unanswerable:
        kinds = options.unanswerable_kinds or unanswerable.KINDS[:1]
        train = unanswerable.add_unanswerable(train, options.unanswerable, options.seed, kinds)
        if all(item.answers for item in valid):
            valid = unanswerable.add_unanswerable(valid, options.unanswerable, options.seed, kinds)
    say(f"{len(train):,} questions to train on, {len(valid):,} to validate on.")
    if options.results:
        # Check the file before the training, not after it.
        add_results(options.results, [])
    advice = "The same command with --resume continues after the last complete epoch."
    with advise_after_interrupt(advice), say_warnings():
        result = training.train(
            train,
            valid or None,
            _models(options, bool(valid)),
            model_options,
            recipe=given_options(options, RECIPE),
            seed=options.seed,
            seeds=options.seeds,
            out=options.output,
            resume=options.resume,
            verbose=show_epochs(),
            answerer_options=answerer_options,
            keep_optimizer=options.keep_optimizer,
            start=start,
            lora_rank=options.lora_rank if start is not None else None,
            lenient=options.lenient,
            devices=options.devices,
        )
    say(f"Saved {options.output}.")
    if options.adapter is not None:
        result.answerer.save_adapter(options.adapter)
        say(f"Saved {options.adapter}.")
    runs = [{**about, **dataclasses.asdict(run)} for run in result.runs]
    if options.results:
        add_results(options.results, runs)
    scores = None
    if valid:
        say(result.summary())
        scores = result.answerer.evaluate(valid, verbose=0)
        print_scores(scores)
    elif start is not None:
        say(
            "Nothing was compared: the answers may be worse than before. Hold some questions back, "
            "and give them as --validation-data."
        )
    results.add(output=options.output, adapter=options.adapter, runs=runs, scores=scores)


def _find_passages(
    path: str, train: list[Example], valid: list[Example]
) -> tuple[list[Example], list[Example]]:
    """Returns the questions with passages of an index, and reports those without."""
    from keras_qa import training
    from keras_qa.documents import Index

    results = []
    with Index.open(path) as index:
        for name, part in (("training", train), ("validation", valid)):
            if not part:
                results.append(part)
                continue
            result = training.examples_from_index(index, part)
            say(f"Of the {name} data, {result.summary()}")
            if result.missing:
                rows = ", ".join(map(str, [*result.missing][:_SHOWN_ROWS]))
                more = ", …" * (len(result.missing) > _SHOWN_ROWS)
                say(f"Without a passage: rows {rows}{more} (counted from 1).")
            results.append(result.examples)
    return results[0], results[1]


def _models(options: argparse.Namespace, validated: bool) -> Sequence[str]:
    if options.model is not None:
        return options.model
    # Without validation data there is no way to choose, and options are for one factory.
    return DEFAULT_MODELS if validated and options.model_options == "{}" else DEFAULT_MODELS[:1]


def _options(
    options: argparse.Namespace, start: str | None
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Returns the arguments of the model's factory, and those of the answerer."""
    answerer_options = given_options(options, ("max_length",))
    if start is not None:
        given = given_options(options, _NEW)
        if given or options.model_options != "{}":
            name = option_name(next(iter(given), "model_options"))
            raise ValueError(f"`{name}` is for a new model. Leave it or `--from` out.")
        return {}, answerer_options
    for name in given_options(options, READER):
        if options.model not in (["span_reader"], ["multiple_choice"]):
            raise ValueError(
                f"`{option_name(name)}` is for --model span_reader or multiple_choice. Received: "
                f"--model {' '.join(options.model or DEFAULT_MODELS)}."
            )
    model_options = {
        **_parse_object(options.model_options),
        **given_options(options, ("backbone", "answer_types", "lora_rank", "dtype")),
    }
    return model_options, answerer_options


def _parse_object(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except json.JSONDecodeError:
        value = None
    if not isinstance(value, dict):
        raise ValueError(
            f'`--model-options` must be a JSON object, such as {{"units": 32}}. Received: {text!r}.'
        )
    return value
