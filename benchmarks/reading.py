"""`python -m benchmarks.reading FOLDER`: the scores of readers, and the minutes of their training.

FOLDER holds `train.json` and `valid.json` in SQuAD's format. Each contender is trained on the first
and scored on the second, in a new process for each run. It trains all epochs, since `valid.json`
chooses nothing. Each record is added to the file of results at once.
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
from benchmarks.span_cases import encoder_folder, spread

Examples = list[Any]
Answers = list[str]


def main() -> None:
    run_each("benchmarks.reading", _parser().parse_args(), _work)


def _work(options: argparse.Namespace) -> None:
    import keras

    from keras_qa import datasets, metrics
    from keras_qa.training.results import add_results

    contender, seed = options.worker[0], int(options.worker[1])
    train, valid = (
        datasets.squad.load(options.folder / f"{part}.json") for part in ("train", "valid")
    )
    if options.questions is not None:
        train = spread([item for item in train if item.answers], options.questions)
    started = time.perf_counter()
    answers = CONTENDERS[contender](train, options, seed)
    minutes = (time.perf_counter() - started) / 60
    scores = metrics.squad(answers(valid), valid)
    record = {
        "contender": contender,
        "seed": seed,
        "backend": keras.config.backend(),
        "half": options.half,
        "cores_used": len(os.sched_getaffinity(0)),
        "questions": len(train),
        "validation_questions": len(valid),
        "minutes": round(minutes, 1),
        **{name: round(value, 2) for name, value in scores.items()},
        **circumstances(),
    }
    add_results(options.out, [record])
    print(f"{contender}, seed {seed}: {scores} after {minutes:.1f} minutes")


def _ours(
    model_options: dict[str, Any],
    vectors: Callable[[argparse.Namespace], Any] | None = None,
) -> Callable[..., Callable[[Examples], Answers]]:
    def make(
        train: Examples, options: argparse.Namespace, seed: int
    ) -> Callable[[Examples], Answers]:
        from keras_qa import recipes

        given = {name: make() for name, make in model_options.items()}
        if options.half:
            given["dtype"] = "mixed_bfloat16"
        further = {"vectors": vectors(options)} if vectors is not None else None
        epochs = {"epochs": options.epochs} if options.epochs is not None else None
        done = recipes.train(
            train, None, "span_reader", given, epochs, seed=seed, answerer_options=further
        )
        return lambda asked: [
            answer.text
            for answer in done.answerer.answer(
                [item.text for item in asked], [item.question for item in asked], verbose=0
            )
        ]

    return make


def _vectors(options: argparse.Namespace) -> Any:
    from keras_qa.text import WordVectors

    if options.vectors is None:
        raise SystemExit("Name a file of word vectors: --vectors.")
    return WordVectors.load(options.vectors)


def _transformers(
    train: Examples, options: argparse.Namespace, seed: int
) -> Callable[[Examples], Answers]:
    import torch

    import keras_qa
    from benchmarks.rivals.bert_reader import ReaderRival
    from keras_qa.training.recipe import recipe_for

    folder = encoder_folder()
    recipe = recipe_for("span_reader", {"backbone": "minilm"})
    torch.manual_seed(seed)
    windower = keras_qa.text.Windower(keras_qa.text.SubwordTokenizer.from_file(folder))
    windows = windower(train, labels=True)
    start, end = windows.spans[:, 0, 0], windows.spans[:, 0, 1]
    rival = ReaderRival(folder, windows.feed, start, end, recipe.batch_size, options.half, "cpu")
    rival.train(options.epochs or recipe.epochs, recipe.warmup)

    def answers(asked: Examples) -> Answers:
        windows = windower(asked)
        best = keras_qa.preprocessing.SpanDecoder()(
            *rival.logits(windows.feed), windows.words, windows.example, k=1
        )
        places = zip(asked, best.start[:, 0], best.end[:, 0], strict=True)
        return [item.plain_text[max(start, 0) : max(end, 0)] for item, start, end in places]

    return answers


def _sliding_window(
    train: Examples, options: argparse.Namespace, seed: int
) -> Callable[[Examples], Answers]:
    return lambda asked: [sliding_window.answer(item.plain_text, item.question) for item in asked]


CONTENDERS: dict[str, Callable[..., Callable[[Examples], Answers]]] = {
    "backbone": _ours({"backbone": encoder_folder}),
    "transformers": _transformers,
    "vectors": _ours({}, _vectors),
    "no vectors": _ours({}),
    "sliding window": _sliding_window,
}


def _parser() -> argparse.ArgumentParser:
    contenders = "benchmarks.reading", __doc__, CONTENDERS
    parser = make_parser(*contenders, default=("backbone", "transformers"), out="reading.json")
    parser.add_argument("--questions", type=int, help="train on so many (default: all)")
    parser.add_argument("--vectors", help="a file that keras_qa.text.WordVectors reads")
    return parser


if __name__ == "__main__":
    main()
