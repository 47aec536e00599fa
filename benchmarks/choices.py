"""`python -m benchmarks.choices FOLDER`: the accuracy of choosers on MCTest.

FOLDER holds the files of MCTest. Each contender is trained on both train parts and scored on both
dev parts, in a new process for each run. It trains all epochs, since the dev parts choose nothing.
Each record is added to the file of results at once.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from typing import Any

from benchmarks.contenders import make_parser, run_each
from benchmarks.measure import circumstances
from benchmarks.rivals import sliding_window
from benchmarks.span_cases import encoder_folder

# Number of sentences in a window of the ranker.
SENTENCES = 4

Examples = list[Any]
Choose = Callable[[Examples], list[str]]


def main() -> None:
    run_each("benchmarks.choices", _parser().parse_args(), _work)


def _work(options: argparse.Namespace) -> None:
    import keras

    from keras_qa import datasets
    from keras_qa.training.results import add_results

    contender, seed = options.worker[0], int(options.worker[1])
    train, valid = (
        [
            item
            for name in datasets.mctest.VARIANTS
            for item in datasets.mctest.load(options.folder, name, split)
        ]
        for split in ("train", "valid")
    )
    train, valid = train[: options.questions], valid[: options.questions]
    started = time.perf_counter()
    choose: Choose = CONTENDERS[contender](train, options, seed)
    minutes = (time.perf_counter() - started) / 60
    right = [choice in item.answers for choice, item in zip(choose(valid), valid, strict=True)]
    # Ids are like mc160.dev.12.0.one: the part, and how many sentences an answer needs.
    parts = {"all": right}
    for is_right, item in zip(right, valid, strict=True):
        for part in (item.id.split(".")[0], item.id.split(".")[-1]):
            parts.setdefault(part, []).append(is_right)
    record = {
        "contender": contender,
        "seed": seed,
        "backend": keras.config.backend(),
        "half": options.half,
        "cores_used": len(os.sched_getaffinity(0)),
        "questions": len(train),
        "validation_questions": len(valid),
        "minutes": round(minutes, 1),
        "accuracy": {name: round(100 * sum(some) / len(some), 2) for name, some in parts.items()},
        **circumstances(),
    }
    add_results(options.out, [record])
    print(f"{contender}, seed {seed}: {record['accuracy']} after {minutes:.1f} minutes")


def _ours(
    recipe: dict[str, Any] | None = None,
    max_length: int | None = None,
    **model_options: Callable[[], str],
) -> Callable[..., Choose]:
    def make(train: Examples, options: argparse.Namespace, seed: int) -> Choose:
        from keras_qa import recipes

        given = {name: make() for name, make in model_options.items()}
        if options.half:
            given["dtype"] = "mixed_bfloat16"
        epochs = {"epochs": options.epochs} if options.epochs is not None else {}
        done = recipes.train(
            train,
            None,
            "multiple_choice",
            given,
            {**(recipe or {}), **epochs},
            seed=seed,
            answerer_options={"max_length": max_length},
        )
        return done.answerer.predict

    return make


def _transformers(train: Examples, options: argparse.Namespace, seed: int) -> Choose:
    import torch

    import keras_qa
    from benchmarks.rivals.bert_reader import ChooserRival
    from keras_qa.training.recipe import recipe_for

    folder, recipe = encoder_folder(), recipe_for("multiple_choice", {"backbone": "minilm"})
    torch.manual_seed(seed)
    # Its weights are not used, only its inputs.
    model = keras_qa.models.multiple_choice(backbone=folder)
    rows = model.preprocessor.make_training_data
    rival = ChooserRival(folder, *rows(model, train), recipe.batch_size, options.half, "cpu")
    rival.train(options.epochs or recipe.epochs, recipe.warmup)

    def choose(asked: Examples) -> list[str]:
        numbers = rival.choose(rows(model, asked)[0])
        return [item.choices[number] for item, number in zip(asked, numbers, strict=True)]

    return choose


def _ranker(train: Examples, options: argparse.Namespace, seed: int) -> Choose:
    """A ranker that was not trained on choices: the question with a choice is its question."""
    from keras_qa.answering import Reranker
    from keras_qa.text.sentence_splitting import sentence_spans

    ranker = Reranker("minilm-rerank")

    def windows(text: str) -> list[str]:
        spans = sentence_spans(text)
        firsts = range(max(len(spans) - SENTENCES, 0) + 1)
        return [text[spans[n][0] : spans[n : n + SENTENCES][-1][1]] for n in firsts]

    def choose(asked: Examples) -> list[str]:
        pairs = [
            (f"{item.question} {choice}", windows(item.plain_text))
            for item in asked
            for choice in item.choices
        ]
        best = iter(row.max() for row in ranker.logits(*zip(*pairs, strict=True)))
        return [max((next(best), choice) for choice in item.choices)[1] for item in asked]

    return choose


def _sliding_window(train: Examples, options: argparse.Namespace, seed: int) -> Choose:
    return lambda asked: [
        sliding_window.choose(item.plain_text, item.question, item.choices) for item in asked
    ]


CONTENDERS: dict[str, Callable[..., Choose]] = {
    "sliding window": _sliding_window,
    "from scratch": _ours(),
    "backbone": _ours(backbone=encoder_folder),
    "on a ranker": _ours(
        {"epochs": 1, "learning_rate": 5e-5}, 96, backbone=lambda: "minilm-rerank"
    ),
    "transformers": _transformers,
    "ranker": _ranker,
}


def _parser() -> argparse.ArgumentParser:
    contenders = "benchmarks.choices", __doc__, CONTENDERS
    parser = make_parser(*contenders, default=CONTENDERS, out="choices.json")
    parser.add_argument("--questions", type=int, help="use so many of each part (default: all)")
    return parser


if __name__ == "__main__":
    main()
