"""The later trainings of the preset `minilm-squad`: all dense weights of the encoder.

keras-qa train ... --adapter first.keras                  (the first command in docs/presets.md)
python -m benchmarks.reader_preset train FOLDER first.keras second.keras
python -m benchmarks.reader_preset train FOLDER second.keras third.keras --epochs 11 \
    --unanswerable 0.3 --repeat 5 --seed 4
python -m benchmarks.reader_preset reduce FOLDER third.keras adapter.keras
python -m benchmarks.preset_file adapter.keras minilm-squad.keras

FOLDER holds `train.json`, `valid.json` and `valid-unanswerable.json`. `train` starts with a reader;
the embeddings and the gains of the encoder stay fixed. An interrupted training continues from the
checkpoint beside its result. `reduce` writes the change of each matrix of the encoder as an adapter
of LoRA: the closest matrix of a lower rank, by its singular values. It fits the temperature on all
questions of both validation files, and sets the threshold of no answer so that a fifth of the
questions of `valid.json` are refused.
"""

from __future__ import annotations

import argparse
import dataclasses
import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np

STEPS, BATCH_SIZE = 250, 16
LEARNING_RATE, WARMUP, WEIGHT_DECAY = 1e-4, 0.04, 0.01
MAX_ANSWER_WORDS, REFUSED = 20, 0.2


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.reader_preset", description=__doc__)
    commands = parser.add_subparsers(required=True)
    train_parser = commands.add_parser("train")
    for name in ("folder", "reader", "out"):
        train_parser.add_argument(name, type=pathlib.Path)
    train_parser.add_argument("--epochs", type=int, default=14, help="of 250 steps")
    train_parser.add_argument("--unanswerable", type=float, default=0.2, help="share to add")
    train_parser.add_argument("--repeat", type=int, default=1, help="unanswerable ones of the file")
    train_parser.add_argument("--seed", type=int, default=3)
    train_parser.set_defaults(run=train)
    reduce_parser = commands.add_parser("reduce")
    for name in ("folder", "reader", "out"):
        reduce_parser.add_argument(name, type=pathlib.Path)
    reduce_parser.add_argument("--rank", type=int, default=64)
    reduce_parser.set_defaults(run=reduce)
    options = parser.parse_args(arguments)
    options.run(options)


def train(options: argparse.Namespace) -> None:
    """Trains the reader of an adapter, and saves it as a whole."""
    import keras

    import keras_qa
    from benchmarks.low_rank import freeze_small_weights
    from keras_qa.datasets import squad
    from keras_qa.datasets.unanswerable import KINDS, add_unanswerable
    from keras_qa.models.pretrained import transformer_of
    from keras_qa.recipes import Recipe
    from keras_qa.recipes.checkpoints import TrainingState

    examples = squad.load(options.folder / "train.json")
    data = add_unanswerable(examples, options.unanswerable, options.seed, KINDS)
    data += [one for one in examples if not one.answers] * (options.repeat - 1)
    # A part of the questions is enough to see the progress and to fit the temperature.
    valid = squad.load(options.folder / "valid.json")[::8]
    valid += squad.load(options.folder / "valid-unanswerable.json")[::16]
    keras.utils.set_random_seed(options.seed)
    reader: Any = keras_qa.load(options.reader).model_
    freeze_small_weights(transformer_of(reader))
    recipe = Recipe(
        epochs=options.epochs,
        batch_size=BATCH_SIZE,
        learning_rate=LEARNING_RATE,
        warmup=WARMUP,
        weight_decay=WEIGHT_DECAY,
        steps_per_epoch=STEPS,
        decay="linear",
        keep="last",
    )
    epochs = options.epochs
    run = {"seed": options.seed, "epochs": epochs, "patience": epochs, "keep": "last"}
    state = TrainingState(run, options.out.with_suffix(".checkpoint"))
    qa = keras_qa.QuestionAnswerer(reader).fit(
        data,
        validation_data=valid,
        epochs=options.epochs,
        batch_size=BATCH_SIZE,
        optimizer=recipe.optimizer,
        callbacks=[state],
        verbose=2,
        initial_epoch=state.epochs,
        steps_per_epoch=STEPS,
    )
    qa.save(options.out)


def reduce(options: argparse.Namespace) -> None:
    """Writes the changes of the encoder's matrices as an adapter."""
    import keras_qa
    from benchmarks.low_rank import copy_changes
    from keras_qa import models
    from keras_qa.datasets import squad
    from keras_qa.models import adapters
    from keras_qa.preprocessing.span_calibration import fit_decoder

    trained = keras_qa.load(options.reader).model_
    reader = models.span_reader(backbone="minilm", lora_rank=options.rank)
    copy_changes(trained, reader)
    reader.preprocessor = trained.preprocessor
    valid = squad.load(options.folder / "valid.json")
    both = valid + squad.load(options.folder / "valid-unanswerable.json")
    fit_decoder(reader.preprocessor, reader, both, 32, MAX_ANSWER_WORDS, 0.5)
    read = reader.preprocessor.vectorizer(valid)
    *logits, sizes = reader.preprocessor.read_windows(reader, read, 32)
    none = reader.preprocessor.decoder(*logits, 1, sizes).no_answer
    threshold = round(float(np.quantile(none, 1 - REFUSED)), 3)
    reader.preprocessor.decoder = dataclasses.replace(
        reader.preprocessor.decoder, no_answer_threshold=threshold
    )
    print(reader.preprocessor.decoder)
    adapters.save(reader, options.out)


if __name__ == "__main__":
    main()
