"""Trains and measures the preset `minilm-rerank`, a ranker: LoRA on the encoder `minilm`.

python -m benchmarks.rerank_preset train FOLDER ranker.keras --start first.keras
python -m benchmarks.preset_file ranker.keras keras_qa/models/ready/minilm-rerank.keras
python -m benchmarks.rerank_preset calibrate FOLDER keras_qa/models/ready/minilm-rerank.keras
python -m benchmarks.rerank_preset evaluate FOLDER keras_qa/models/ready/minilm-rerank.keras
python -m benchmarks.rerank_preset relevance FOLDER keras_qa/models/ready/minilm-rerank.keras

FOLDER holds `reading/train.json`, to train on: the negatives of a question are other paragraphs of
this file, which a search by words finds. `reading/valid.json` is for the calibration, and
`squad_small/` and `ranking/selqa-valid.jsonl` are for the evaluation. An interrupted training
continues from the checkpoint beside the adapter.
"""

from __future__ import annotations

import argparse
import io
import itertools
import json
import pathlib
import random
import tempfile
import zipfile
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from benchmarks.measure import RESULTS, circumstances

SETTINGS = {
    "steps": 560,
    "batch_size": 8,
    "negatives": 4,
    "lora_rank": 32,
    "learning_rate": 0.0005,
    "max_length": 224,
    "dtype": "mixed_bfloat16",
    "steps_per_epoch": 80,
    "seed": 0,
}
# Many reviews answer the same question, such as "Is it heavy?".
LEFT_OUT = "squadshifts-amazon"
# Number of hits that the ranker sorts.
FIRST = 20
# Values of `min_precision` that are measured.
LEAST = (0.5, 0.8, 0.9, 0.95)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.rerank_preset", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    files = {
        "train": "the adapter to write",
        "calibrate": "the adapter to change",
        "evaluate": "a ranker",
        "relevance": "a calibrated ranker",
    }
    for name, file in files.items():
        command = commands.add_parser(name)
        command.add_argument("folder", type=pathlib.Path)
        command.add_argument("ranker", type=pathlib.Path, help=file)
    for name, value in SETTINGS.items():
        option = f"--{name.replace('_', '-')}"
        commands.choices["train"].add_argument(option, type=type(value), default=value)
    commands.choices["train"].add_argument(
        "--start", type=pathlib.Path, help="the adapter of a reader, whose LoRA is trained further"
    )
    commands.choices["evaluate"].add_argument("--out", default=RESULTS / "rerank.json")
    commands.choices["relevance"].add_argument("--out", default=RESULTS / "relevance.json")
    options = parser.parse_args(arguments)
    if options.command == "train":
        settings = {name: getattr(options, name) for name in SETTINGS}
        train(options.folder, options.ranker, settings, options.start)
    elif options.command == "calibrate":
        calibrate(options.folder, options.ranker)
    else:
        run = evaluate if options.command == "evaluate" else measure_relevance
        run(options.folder, options.ranker, options.out)


def train(
    folder: pathlib.Path, out: pathlib.Path, settings: dict[str, Any], start: pathlib.Path | None
) -> None:
    """Writes the adapter."""
    import keras

    from keras_qa import datasets
    from keras_qa.answering import Reranker
    from keras_qa.documents import hard_negatives
    from keras_qa.models import text_classifier
    from keras_qa.training.checkpoints import TrainingState

    examples = datasets.squad.load(folder / "reading" / "train.json")
    examples = [one for one in examples if one.answers and one.source != LEFT_OUT]
    wanted = settings["steps"] * settings["batch_size"]
    chosen = random.Random(settings["seed"]).sample(examples, min(wanted, len(examples)))
    with make_index(example.plain_text for example in examples) as index:
        data = hard_negatives(index, chosen, settings["negatives"])
    print(f"{len(data)} questions, {sum(len(one.negatives) for one in data)} negatives", flush=True)
    epochs = max(settings["steps"] // settings["steps_per_epoch"], 1)
    run = {**settings, "epochs": epochs, "patience": epochs, "questions": len(data)}
    state = TrainingState(run, out.with_suffix(".checkpoint"))
    keras.utils.set_random_seed(settings["seed"])
    keras.config.set_dtype_policy(settings["dtype"])
    model = text_classifier("minilm", "sequence_classification", 1, lora_rank=settings["lora_rank"])
    if start is not None:
        copy_lora(start, model)
    model.preprocessor.vectorizer.max_length = settings["max_length"]
    ranker = Reranker(model)
    ranker.fit(
        data,
        epochs=epochs,
        batch_size=settings["batch_size"],
        learning_rate=settings["learning_rate"],
        lora_rank=settings["lora_rank"],
        callbacks=[state],
        verbose=2,
        initial_epoch=state.epochs,
        steps_per_epoch=settings["steps_per_epoch"],
    )
    ranker.save_adapter(out)


def copy_lora(path: pathlib.Path, model: Any) -> None:
    """Copies an adapter's LoRA into that of a model, of the same rank."""
    from keras_qa.layers.classification_head import transformer_of
    from keras_qa.models.adapters import WEIGHTS

    with zipfile.ZipFile(path) as archive:
        content = io.BytesIO(archive.read(WEIGHTS))
    with np.load(content) as arrays:
        values = iter([arrays[str(place)] for place in range(len(arrays.files))])
    for layer in transformer_of(model).lora_layers:
        if layer.use_bias:
            layer.bias.assign(next(values))
        layer.lora_kernel_a.assign(next(values))
        layer.lora_kernel_b.assign(next(values))


def evaluate(folder: pathlib.Path, path: pathlib.Path, out: pathlib.Path) -> None:
    """Adds a record to the file of results for each contender."""
    import keras

    from keras_qa import datasets
    from keras_qa.answering import Reranker, TextEmbedder
    from keras_qa.training.results import add_results

    ranker, encoder = Reranker(path), TextEmbedder("minilm")
    small = [
        datasets.squad.load(folder / "squad_small" / f"{part}.json") for part in ("train", "valid")
    ]
    paragraphs = [example.plain_text for part in small for example in part]
    questions = [example.question for example in small[1]]
    records: dict[str, dict[str, Any]] = {}
    found: dict[str, list[list[str]]] = {}
    for name, used in (("words", None), ("words and vectors", encoder)):
        with make_index(paragraphs, used) as index:
            hits = index.search(questions, k=FIRST)
        # A paragraph may have several passages.
        found[name] = [[hit.text for hit in some] for some in hits]
    # Each pair once.
    union = [[*dict.fromkeys(itertools.chain(*some))] for some in zip(*found.values(), strict=True)]
    logits = [
        dict(zip(some, row.tolist(), strict=True))
        for some, row in zip(union, ranker.logits(questions, union), strict=True)
    ]
    for name, texts in found.items():
        for contender in (name, f"{name}, ranker"):
            right = []
            for some, row, item in zip(texts, logits, small[1], strict=True):
                order = np.arange(len(some))
                if contender != name:
                    order = np.argsort([-row[text] for text in some], kind="stable")
                right.append([some[place] in item.plain_text for place in order])
            records[contender] = {"data": "squad_small/valid.json", **scores(right)}
    lines = (folder / "ranking" / "selqa-valid.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    asked, sentences = [row["question"] for row in rows], [row["candidates"] for row in rows]
    best = [[one.index for one in some] for some in ranker.rank(asked, sentences)]
    nearest = [
        np.argsort(-(encoder(some) @ vector), kind="stable")
        for vector, some in zip(encoder(asked), sentences, strict=True)
    ]
    for contender, places in (("vectors", nearest), ("ranker", best)):
        right = [
            [int(place) in row["relevant"] for place in some]
            for some, row in zip(places, rows, strict=True)
        ]
        records[contender] = {"data": "ranking/selqa-valid.jsonl", **scores(right)}
    for contender, record in records.items():
        here = {"contender": contender, "backend": keras.config.backend(), **record}
        print(here)
        add_results(out, [{**here, **circumstances()}])


def find_texts(
    passages: Iterable[str], examples: Sequence[Any]
) -> tuple[list[str], list[list[str]], list[list[bool]]]:
    """Returns questions, the texts that a search by words finds first, and which are right."""
    questions = [example.question for example in examples]
    with make_index(passages) as index:
        texts = [[hit.text for hit in hits] for hits in index.search(questions, k=FIRST)]
    right = [
        [text in example.plain_text for text in row]
        for row, example in zip(texts, examples, strict=True)
    ]
    return questions, texts, right


def calibrate(folder: pathlib.Path, path: pathlib.Path) -> None:
    """Adds the calibration to an adapter, whose weights stay the same bytes."""
    from keras_qa import datasets
    from keras_qa.answering import Reranker
    from keras_qa.models.adapters import CONFIG
    from keras_qa.preprocessing.preprocessor import serialize

    examples = datasets.squad.load(folder / "reading" / "valid.json")
    passages = [example.plain_text for example in examples]
    ranker = Reranker(path)
    relevance = ranker.calibrate(*find_texts(passages, examples))
    print(f"scale {relevance.scale:.3f}, offset {relevance.offset:.3f}", flush=True)
    for least in LEAST:
        print(f"{least:.0%}: scores from {relevance.threshold(least):.3f}", flush=True)
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    config = {**json.loads(parts[CONFIG]), "preprocessor": serialize(ranker.model_.preprocessor)}
    parts[CONFIG] = json.dumps(config).encode("utf-8")
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content)


def measure_relevance(folder: pathlib.Path, path: pathlib.Path, out: pathlib.Path) -> None:
    """Adds a record for each data set and minimum precision."""
    import keras

    from keras_qa import datasets
    from keras_qa.answering import Reranker
    from keras_qa.training.results import add_results

    ranker = Reranker(path)
    train, valid = (
        datasets.squad.load(folder / "squad_small" / f"{part}.json") for part in ("train", "valid")
    )
    passages = [example.plain_text for example in (*train, *valid)]
    lines = (folder / "ranking" / "selqa-valid.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    relevant = [[n in row["relevant"] for n in range(len(row["candidates"]))] for row in rows]
    sentences = [row["question"] for row in rows], [row["candidates"] for row in rows], relevant
    data = {
        "squad_small/valid.json": find_texts(passages, valid),
        "ranking/selqa-valid.jsonl": sentences,
    }
    for name, (questions, texts, right) in data.items():
        ranked = ranker.rank(questions, texts)
        for least in LEAST:
            threshold = ranker.model_.preprocessor.relevance.threshold(least)
            kept = [
                [row[item.index] for item in some if item.score >= threshold]
                for row, some in zip(right, ranked, strict=True)
            ]
            hits, count = sum(map(sum, kept)), sum(map(len, kept))
            shares = {
                "precision": hits / max(count, 1),
                "recall": hits / sum(map(sum, right)),
                # As if the right texts were not among those that are sorted.
                "none": np.mean([not any(not is_right for is_right in row) for row in kept]),
            }
            record = {
                "min_precision": least,
                "backend": keras.config.backend(),
                "data": name,
                **{key: round(100 * float(value), 2) for key, value in shares.items()},
                "questions": len(questions),
            }
            print(record, flush=True)
            add_results(out, [{**record, **circumstances()}])


def scores(right: Sequence[Sequence[bool]]) -> dict[str, float]:
    """Scores by whether each text is right, best first."""
    ranks = [1 / (1 + row.index(True)) if True in row else 0.0 for row in map(list, right)]
    found = {"recall_at_1": np.mean(np.array(ranks) == 1), "mrr": np.mean(ranks)}
    found[f"recall_at_{FIRST}"] = np.mean(np.array(ranks) > 0)
    rounded = {name: round(100 * float(value), 2) for name, value in found.items()}
    return {**rounded, "questions": len(ranks)}


def make_index(texts: Iterable[str], encoder: Any = None) -> Any:
    """Makes an index of which each different text is a document."""
    from keras_qa.documents import Document, Index

    index = Index.create(pathlib.Path(tempfile.mkdtemp()) / "a.index", "en", encoder)
    different = enumerate(dict.fromkeys(texts))
    index.add(Document(str(number), text) for number, text in different)
    return index


if __name__ == "__main__":
    main()
