"""Trains the preset `minilm-squad` further, with LoRA of a higher rank.

keras-qa train ... --adapter first.keras          (the first command in docs/presets.md)
python -m benchmarks.reader_preset FOLDER first.keras second.keras

FOLDER holds `train.json`, `valid.json` and `valid-unanswerable.json`. The new columns of LoRA's
matrices start as those of a new layer: the training starts with the outputs of the first adapter.
An interrupted training continues from the checkpoint beside the second one.
"""

from __future__ import annotations

import argparse
import io
import json
import pathlib
import zipfile
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

SETTINGS = {
    "epochs": 9,
    "steps_per_epoch": 500,
    "batch_size": 16,
    "lora_rank": 64,
    "learning_rate": 7e-4,
    "weight_decay": 0.01,
    "warmup": 0.1,
    "unanswerable": 0.5,
    "repeats": 5,
    "seed": 1,
}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.reader_preset", description=__doc__)
    for name in ("folder", "start", "out"):
        parser.add_argument(name, type=pathlib.Path)
    for name, value in SETTINGS.items():
        option = f"--{name.replace('_', '-')}"
        parser.add_argument(option, type=type(value), default=value)
    options = parser.parse_args(arguments)

    import keras

    import keras_qa
    from keras_qa.datasets import squad
    from keras_qa.datasets.unanswerable import KINDS, add_unanswerable
    from keras_qa.recipes import Recipe
    from keras_qa.recipes.checkpoints import TrainingState

    examples = squad.load(options.folder / "train.json")
    data = add_unanswerable(examples, options.unanswerable, options.seed, KINDS)
    # Questions that people wrote to mislead are few.
    data += [one for one in examples if not one.answers] * (options.repeats - 1)
    # Every fourth question is enough to see the progress and to fit the threshold.
    valid = squad.load(options.folder / "valid.json")[::4]
    valid += squad.load(options.folder / "valid-unanswerable.json")[::4]
    print(f"{len(data):,} questions, {len(valid):,} to validate on", flush=True)

    keras.utils.set_random_seed(options.seed)
    reader = start(options.start, options.lora_rank)
    recipe = Recipe(
        epochs=options.epochs,
        batch_size=options.batch_size,
        learning_rate=options.learning_rate,
        warmup=options.warmup,
        weight_decay=options.weight_decay,
        steps_per_epoch=options.steps_per_epoch,
        decay="linear",
        keep="last",
    )
    run = {**vars(options), "keep": "last", "patience": options.epochs, "questions": len(data)}
    run = {
        name: str(value) if isinstance(value, pathlib.Path) else value
        for name, value in run.items()
    }
    state = TrainingState(run, options.out.with_suffix(".checkpoint"))
    qa = keras_qa.QuestionAnswerer(reader).fit(
        data,
        validation_data=valid,
        epochs=options.epochs,
        batch_size=options.batch_size,
        optimizer=recipe.optimizer,
        callbacks=[state],
        verbose=2,
        initial_epoch=state.epochs,
        steps_per_epoch=options.steps_per_epoch,
    )
    qa.save_adapter(options.out)


def start(path: pathlib.Path, rank: int) -> Any:
    """Returns a reader with LoRA of this rank and the outputs of an adapter of a lower one."""
    from keras_qa import models
    from keras_qa.models.adapters import CONFIG, WEIGHTS
    from keras_qa.models.pretrained import transformer_of

    with zipfile.ZipFile(path) as archive:
        config = json.loads(archive.read(CONFIG))
        with np.load(io.BytesIO(archive.read(WEIGHTS))) as arrays:
            values: Iterator[np.ndarray] = iter([arrays[f"{n}"] for n in range(len(arrays.files))])
    lower = config["lora_rank"]
    reader = models.span_reader(backbone=config["backbone"], lora_rank=rank, dtype=config["dtype"])
    for layer in transformer_of(reader).lora_layers:
        if layer.use_bias:
            layer.bias.assign(next(values))
        first, second = np.array(layer.lora_kernel_a), np.array(layer.lora_kernel_b)
        first[:, :lower], second[:lower] = next(values), next(values)
        layer.lora_kernel_a.assign(first)
        layer.lora_kernel_b.assign(second)
    for variable, value in zip(reader.layers[-1].weights, values, strict=True):
        variable.assign(value)
    return reader


if __name__ == "__main__":
    main()
