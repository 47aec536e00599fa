"""The second training of the preset `minilm-squad`: all dense weights of the encoder.

keras-qa train ... --adapter first.keras                  (the first command in docs/presets.md)
python -m benchmarks.reader_preset train FOLDER first.keras second.keras
python -m benchmarks.reader_preset reduce FOLDER second.keras reduced.keras
python -m benchmarks.preset_file reduced.keras minilm-squad.keras

python -m benchmarks.reader_preset documents FOLDER DOCUMENTATION minilm-squad third.keras

is the third training, of the preset `minilm-reader`: the same weights learn from the questions of
projects in DOCUMENTATION, with the passages that `examples_from_index` finds, and from a part of
`train.json`. `reduce` and `preset_file` follow.

FOLDER holds `train.json`, `valid.json` and `valid-unanswerable.json`. `train` starts with the
outputs of an adapter; the embeddings and the gains of the encoder stay fixed. An interrupted
training continues from the checkpoint beside its result. `reduce` writes the change of each matrix
of the encoder as an adapter of LoRA: the closest matrix of a lower rank, by its singular values. It
fits the temperature and when there is no answer on all questions of both files.
"""

from __future__ import annotations

import argparse
import pathlib
import random
from collections.abc import Sequence
from typing import Any

import numpy as np

EPOCHS, STEPS, BATCH_SIZE, SEED = 14, 250, 16, 3
LEARNING_RATE, WARMUP, WEIGHT_DECAY, UNANSWERABLE = 1e-4, 0.04, 0.01, 0.2
MAX_ANSWER_WORDS = 20

# The third training. Negatives are per question with an answer.
DOCUMENT_EPOCHS, DOCUMENT_STEPS, DOCUMENT_RATE = 12, 130, 1.2e-4
NEGATIVES, READING_QUESTIONS, READING_LENGTH = 0.4, 8000, 900


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.reader_preset", description=__doc__)
    commands = parser.add_subparsers(required=True)
    train_parser = commands.add_parser("train")
    for name in ("folder", "adapter", "out"):
        train_parser.add_argument(name, type=pathlib.Path)
    train_parser.set_defaults(run=train)
    documents_parser = commands.add_parser("documents")
    for name in ("folder", "documentation"):
        documents_parser.add_argument(name, type=pathlib.Path)
    documents_parser.add_argument("reader")
    documents_parser.add_argument("out", type=pathlib.Path)
    documents_parser.set_defaults(run=train_on_documents)
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

    from keras_qa import datasets
    from keras_qa.data.unanswerable import KINDS, add_unanswerable
    from keras_qa.models import adapters

    data = datasets.squad.load(options.folder / "train.json")
    data = add_unanswerable(data, UNANSWERABLE, SEED, KINDS)
    keras.utils.set_random_seed(SEED)
    reader = adapters.load(options.adapter)
    _train(reader, data, options, EPOCHS, STEPS, LEARNING_RATE)


def train_on_documents(options: argparse.Namespace) -> None:
    """Trains a reader on questions about documentation, and saves it as a whole."""
    import keras

    keras.mixed_precision.set_dtype_policy("mixed_bfloat16")
    import keras_qa

    data = document_examples(options)
    keras.utils.set_random_seed(SEED)
    reader = keras_qa.load(options.reader).model_
    _train(reader, data, options, DOCUMENT_EPOCHS, DOCUMENT_STEPS, DOCUMENT_RATE)


def document_examples(options: argparse.Namespace) -> list[Any]:
    """Returns the examples of the third training, in a fixed order."""
    from benchmarks.documentation import all_examples, training_projects
    from keras_qa import datasets

    data = all_examples(training_projects(options.documentation))
    rng = random.Random(SEED)
    answered = [item for item in data if item.answers]
    others = [item for item in data if not item.answers]
    rng.shuffle(others)
    reading = [
        item
        for item in datasets.squad.load(options.folder / "train.json")
        if len(item.plain_text) < READING_LENGTH
    ]
    rng.shuffle(reading)
    data = answered + others[: int(NEGATIVES * len(answered))] + reading[:READING_QUESTIONS]
    rng.shuffle(data)
    return data


def _train(
    reader: Any,
    data: list[Any],
    options: argparse.Namespace,
    epochs: int,
    steps: int,
    learning_rate: float,
) -> None:
    import keras

    import keras_qa
    from keras_qa import datasets, recipes
    from keras_qa.engine.graph import all_layers
    from keras_qa.layers.classification_head import transformer_of
    from keras_qa.training.checkpoints import TrainingState

    # A part of the questions is enough to see the progress and to fit the temperature.
    valid = datasets.squad.load(options.folder / "valid.json")[::8]
    valid += datasets.squad.load(options.folder / "valid-unanswerable.json")[::16]
    encoder: Any = transformer_of(reader)
    for layer in (encoder.tokens, encoder.positions, encoder.segments):
        layer.trainable = False
    for layer in all_layers(reader):
        if isinstance(layer, keras.layers.LayerNormalization):
            layer.trainable = False
    recipe = recipes.Recipe(
        epochs=epochs,
        batch_size=BATCH_SIZE,
        learning_rate=learning_rate,
        warmup=WARMUP,
        weight_decay=WEIGHT_DECAY,
        steps_per_epoch=steps,
        decay="linear",
        keep="last",
    )
    run = {"seed": SEED, "epochs": epochs, "patience": epochs, "keep": "last"}
    state = TrainingState(run, options.out.with_suffix(".checkpoint"))
    qa = keras_qa.QuestionAnswerer(reader).fit(
        data,
        validation_data=valid,
        epochs=epochs,
        batch_size=BATCH_SIZE,
        optimizer=recipe.optimizer,
        callbacks=[state],
        verbose=2,
        initial_epoch=state.epochs,
        steps_per_epoch=steps,
    )
    qa.save(options.out)


def reduce(options: argparse.Namespace) -> None:
    """Writes the changes of the encoder's matrices as an adapter."""
    import keras_qa
    from keras_qa import datasets, models
    from keras_qa.layers.classification_head import transformer_of
    from keras_qa.models import adapters
    from keras_qa.onnx.onnx_graph import dense_weights, to_array

    trained = keras_qa.load(options.reader).model_
    reader = models.span_reader(backbone="minilm", lora_rank=options.rank)
    pairs = zip(
        transformer_of(trained).lora_layers, transformer_of(reader).lora_layers, strict=True
    )
    for after, before in pairs:
        kernel, bias = dense_weights(after)
        change = kernel - dense_weights(before)[0]
        left, values, right = np.linalg.svd(change, full_matrices=False)
        roots = np.sqrt(values[: options.rank])
        before.lora_kernel_a.assign(left[:, : options.rank] * roots)
        before.lora_kernel_b.assign(roots[:, None] * right[: options.rank])
        if bias is not None:
            before.bias.assign(bias)
    for before, after in zip(reader.layers[-1].weights, trained.layers[-1].weights, strict=True):
        before.assign(to_array(after))
    reader.preprocessor = trained.preprocessor
    valid = datasets.squad.load(options.folder / "valid.json")
    valid += datasets.squad.load(options.folder / "valid-unanswerable.json")
    limit = {"max_answer_words": MAX_ANSWER_WORDS}
    reader.preprocessor.calibrate(reader, valid, 32, limit)
    print(reader.preprocessor.decoder)
    adapters.save(reader, options.out)


if __name__ == "__main__":
    main()
