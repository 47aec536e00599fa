"""Trains the preset `minilm-squad` further, with LoRA of a higher rank.

keras-qa train ... --adapter first.keras          (the first command in docs/presets.md)
python -m benchmarks.reader_preset FOLDER first.keras second.keras

FOLDER holds `train.json`, `valid.json` and `valid-unanswerable.json`. The new columns of LoRA's
matrices start as those of a new layer: the training starts with the outputs of the first adapter.
An interrupted training continues from the checkpoint beside the second one.
"""

from __future__ import annotations

import argparse
import dataclasses
import io
import json
import pathlib
import zipfile
from collections.abc import Sequence
from typing import Any

import numpy as np

SETTINGS = {
    "epochs": 7,
    "steps_per_epoch": 500,
    "batch_size": 16,
    "lora_rank": 64,
    "dtype": "mixed_bfloat16",
    "learning_rate": 7e-4,
    "weight_decay": 0.01,
    "warmup": 0.1,
    "unanswerable": 0.5,
    "repeats": 5,
    "refused": 0.2,
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
    # Every fourth question is enough to see the progress and to fit the temperature.
    answerable = squad.load(options.folder / "valid.json")
    valid = answerable[::4]
    valid += squad.load(options.folder / "valid-unanswerable.json")[::4]
    print(f"{len(data):,} questions, {len(valid):,} to validate on", flush=True)

    keras.utils.set_random_seed(options.seed)
    reader = start(options.start, options.lora_rank, options.dtype)
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
    # The fitted threshold is for data of which half mislead. In use they are fewer.
    preprocessor = reader.preprocessor
    windows, _ = preprocessor.make_labels(answerable)
    *logits, sizes = preprocessor.read_windows(reader, windows, 32)
    decoder = preprocessor.decoder
    scores = decoder(*logits, 1, sizes).no_answer
    threshold = round(float(np.quantile(scores, 1 - options.refused)), 3)
    preprocessor.decoder = dataclasses.replace(decoder, no_answer_threshold=threshold)
    print(preprocessor.decoder)
    qa.save_adapter(options.out)


def start(path: pathlib.Path, rank: int, dtype: str) -> Any:
    """Returns a reader with LoRA of this rank and the outputs of an adapter of a lower one."""
    from keras_qa import models

    reader = models.span_reader(backbone="minilm", lora_rank=rank, dtype=dtype)
    head = copy_lora(path, reader)
    for variable, value in zip(reader.layers[-1].weights, head, strict=True):
        variable.assign(value)
    return reader


def copy_lora(path: pathlib.Path, model: Any) -> list[np.ndarray]:
    """Copies an adapter's LoRA into that of a model, of the same or a higher rank.

    Returns the weights of the adapter's head.
    """
    import keras

    from keras_qa.models.adapters import CONFIG, WEIGHTS
    from keras_qa.models.pretrained import transformer_of

    with zipfile.ZipFile(path) as archive:
        lower = json.loads(archive.read(CONFIG))["lora_rank"]
        content = io.BytesIO(archive.read(WEIGHTS))
    with np.load(content) as arrays:
        values = iter([arrays[str(place)] for place in range(len(arrays.files))])
    for layer in transformer_of(model).lora_layers:
        if layer.use_bias:
            layer.bias.assign(next(values))
        matrices = layer.lora_kernel_a, layer.lora_kernel_b
        first, second = (np.array(keras.ops.convert_to_numpy(one)) for one in matrices)
        first[:, :lower], second[:lower] = next(values), next(values)
        layer.lora_kernel_a.assign(first)
        layer.lora_kernel_b.assign(second)
    return list(values)


if __name__ == "__main__":
    main()
