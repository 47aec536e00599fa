"""Trains the preset `minilm-squad` further, without LoRA: all weights but the token embeddings.

keras-qa train ... --adapter lora.keras          (the first command in docs/presets.md)
python -m benchmarks.reader_preset FOLDER lora.keras reader.keras

FOLDER holds `train.json`, `valid.json` and `valid-unanswerable.json`. An interrupted training
continues from the checkpoint beside the reader.
"""

from __future__ import annotations

import argparse
import pathlib
from collections.abc import Sequence

SETTINGS = {
    "epochs": 9,
    "steps_per_epoch": 500,
    "batch_size": 16,
    "learning_rate": 1e-4,
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
    from keras_qa.models.pretrained import transformer_of
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

    reader = keras_qa.load(options.start).model_
    encoder = transformer_of(reader)
    encoder.tokens.trainable = False
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
    keras.utils.set_random_seed(options.seed)
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
    qa.save(options.out)


if __name__ == "__main__":
    main()
