"""Trains the preset `minilm-verify`, and fits and measures the weights of `verify`.

python -m benchmarks.verify_preset train FOLDER checker.keras --start minilm-rerank.keras
python -m benchmarks.preset_file checker.keras keras_qa/models/ready/minilm-verify.keras
python -m benchmarks.verify_preset fit DOCUMENTS [DOCUMENTS...]

FOLDER holds `reading/train.json` and `boolq/train.jsonl`. Each DOCUMENTS holds `claims.jsonl`, and
`docs/` with a folder of each project. `fit` prints the scores of each project by the weights of the
others, and writes `claim_weights.json`. True claims of one of DOCUMENTS are false in the others.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import pathlib
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

import keras_qa.answering
from benchmarks.claims import make_claims

SETTINGS = {
    "batch_size": 32,
    "learning_rate": 0.0005,
    "lora_rank": 32,
    "max_length": 112,
    "dtype": "mixed_bfloat16",
    "seed": 0,
}
WEIGHTS = pathlib.Path(keras_qa.answering.__file__).with_name("claim_weights.json")
# Features that speak for a claim. The others speak against it.
SUPPORTING = ("number_read", "name_read", "support")
# The strength of the penalty of squared weights, and the weight of claims about other projects.
PENALTY, ABSENT = 4.0, 0.2


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.verify_preset", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser("train")
    command.add_argument("folder", type=pathlib.Path)
    command.add_argument("checker", type=pathlib.Path, help="the adapter to write")
    command.add_argument("--start", type=pathlib.Path, help="the adapter to train further")
    for name, value in SETTINGS.items():
        command.add_argument(f"--{name.replace('_', '-')}", type=type(value), default=value)
    commands.add_parser("fit").add_argument("documents", type=pathlib.Path, nargs="+")
    options = parser.parse_args(arguments)
    if options.command == "train":
        settings = {name: getattr(options, name) for name in SETTINGS}
        train(options.folder, options.checker, options.start, settings)
    else:
        fit(options.documents)


def train(
    folder: pathlib.Path, out: pathlib.Path, start: pathlib.Path | None, settings: dict[str, Any]
) -> None:
    """Writes the adapter."""
    import keras

    from keras_qa.answering import Reranker
    from keras_qa.losses import WarmupLinearDecay
    from keras_qa.models import text_classifier

    rows = make_claims(folder, settings["seed"])
    keras.utils.set_random_seed(settings["seed"])
    keras.config.set_dtype_policy(settings["dtype"])
    model = text_classifier("minilm", "sequence_classification", 1, lora_rank=settings["lora_rank"])
    if start is not None:
        copy_lora(start, model)
    preprocessor: Any = model.preprocessor
    preprocessor.vectorizer.max_length = settings["max_length"]
    claims, texts = ([row[name] for row in rows] for name in ("claim", "text"))
    feed = preprocessor.make_feed(model, claims, texts)
    labels = np.array([[row["label"]] for row in rows], "float32")
    steps = len(rows) // settings["batch_size"]
    rate = WarmupLinearDecay(settings["learning_rate"], steps, steps // 15)
    model.compile(
        keras.optimizers.AdamW(rate, weight_decay=0.01),
        keras.losses.BinaryCrossentropy(from_logits=True),
    )
    model.fit(feed, labels, batch_size=settings["batch_size"], verbose=2)
    Reranker(model).save_adapter(out)


def copy_lora(path: pathlib.Path, model: Any) -> None:
    """Copies the LoRA of an adapter, also of a preset in int8, into that of a model."""
    from keras_qa.layers.classification_head import transformer_of
    from keras_qa.models.adapters import WEIGHTS as NAME

    with zipfile.ZipFile(path) as archive:
        content = io.BytesIO(archive.read(NAME))
    with np.load(content) as arrays:
        parts = iter([arrays[str(place)] for place in range(len(arrays.files))])
    # A matrix in int8 is followed by the scales of its rows.
    values = (part if part.dtype != "int8" else part * next(parts) for part in parts)
    for layer in transformer_of(model).lora_layers:
        weights = [layer.bias] if layer.use_bias else []
        for weight in (*weights, layer.lora_kernel_a, layer.lora_kernel_b):
            weight.assign(next(values).astype("float32"))


@contextlib.contextmanager
def open_projects(folders: Sequence[pathlib.Path]) -> Iterator[dict[str, tuple[Any, list[Any]]]]:
    """Yields an index of the documents of each folder, and the claims of each project in it."""
    from keras_qa.documents import Index

    projects = {}
    with tempfile.TemporaryDirectory() as temporary, contextlib.ExitStack() as opened:
        for number, folder in enumerate(folders):
            index = opened.enter_context(Index.create(f"{temporary}/{number}.index"))
            index.update(folder / "docs", verbose=0)
            for line in (folder / "claims.jsonl").read_text(encoding="utf-8").splitlines():
                row = json.loads(line)
                name = f"{number}: {row['documents'][0].split('/')[0]}"
                projects.setdefault(name, (index, []))[1].append(row)
        yield projects


def fit(folders: Sequence[pathlib.Path]) -> None:
    """Writes the weights, and prints the scores of each project by the weights of the others."""
    from keras_qa.answering.claim_checker import Models, check_claims

    reader, ranker, checker = (
        keras_qa.load(f"minilm-{name}") for name in ("squad", "rerank", "verify")
    )
    current = json.loads(WEIGHTS.read_text(encoding="utf-8"))
    with open_projects(folders) as projects:
        for kind, models in (("reader", Models(reader, ranker, checker)), ("words", Models())):
            names = current[kind]["features"]
            data = {}
            for name, (index, rows) in projects.items():
                others = [
                    row["claim"]
                    for other, foreign in projects.values()
                    if other is not index
                    for row in foreign
                    if row["supported"]
                ]
                claims = [row["claim"] for row in rows] + others
                found = check_claims(claims, claims, index, models)
                features = [
                    [evidence.features.get(feature, 0.0) for feature in names]
                    for evidence in found
                    if evidence is not None
                ]
                labels = [row["supported"] for row in rows] + [False] * len(others)
                kept = np.array([evidence is not None for evidence in found])
                labels, share = np.array(labels)[kept], np.ones(len(claims))[kept]
                share[kept.cumsum()[len(rows) - 1] :] = ABSENT
                data[name] = np.array(features), labels.astype(float), share
            current[kind] = measure(names, data)
    text = ",\n".join(
        f'  "{kind}": {{\n    '
        + ",\n    ".join(f'"{name}": {json.dumps(value)}' for name, value in values.items())
        + "\n  }"
        for kind, values in current.items()
    )
    WEIGHTS.write_text(f"{{\n{text}\n}}\n", encoding="utf-8")


Data = dict[str, tuple[np.ndarray, np.ndarray, np.ndarray]]


def measure(names: Sequence[str], data: Data) -> dict[str, Any]:
    """Prints the scores of each project, and returns the weights by all of them."""
    for name, (features, labels, share) in data.items():
        weights, bias = logistic_regression(names, {key: data[key] for key in data if key != name})
        marked = features @ weights + bias < 0
        own, true = share == 1, labels == 1
        print(
            f"{name}: true marked {marked[true].mean():.0%}, false {marked[own & ~true].mean():.0%}"
        )
    weights, bias = logistic_regression(names, data)
    rounded = [round(float(weight), 2) for weight in weights]
    return {"features": names, "weights": rounded, "bias": round(bias, 2)}


def logistic_regression(names: Sequence[str], data: Data) -> tuple[np.ndarray, float]:
    """Fits weights of known signs. True and false claims count the same."""
    features, labels, share = (np.concatenate(part) for part in zip(*data.values(), strict=True))
    signs = np.array([1.0 if name in SUPPORTING else -1.0 for name in names])
    scales = features.std(axis=0) + 1e-6
    x = features * signs / scales
    means = x.mean(axis=0)
    x = x - means
    for label in (0, 1):
        share[labels == label] *= 100 / share[labels == label].sum()
    weights, bias = np.zeros(len(names)), 0.0
    rate = 1 / (0.25 * np.linalg.norm(x, 2) ** 2 * share.max() + PENALTY)
    for _ in range(5_000):
        errors = share * (1 / (1 + np.exp(-(x @ weights + bias))) - labels)
        weights = np.maximum(weights - rate * (x.T @ errors + PENALTY * weights), 0.0)
        bias -= errors.sum() / (0.25 * share.sum())
    return weights * signs / scales, float(bias - means @ weights)


if __name__ == "__main__":
    main()
