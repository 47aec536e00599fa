"""What one backend does. `process.py` runs it."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import itertools
import json
import pathlib
import sys
import tempfile

import keras
import numpy as np
from small_backbones import MARKED as FEW_MARKED
from small_backbones import TOKENIZER, backbone_reader, bert
from small_checkpoints import copy, with_head
from small_models import (
    make_variables,
    memory,
    padded_batch,
    reader,
    small_model,
    stories,
    universal,
    words_to_find,
)

import keras_qa
from keras_qa import Example
from keras_qa.layers.classification_head import transformer_of
from keras_qa.models.reader import enable_lora
from keras_qa.onnx import export

BACKEND = keras.config.backend()
GOLDEN = pathlib.Path(__file__).parent.parent / "golden"
sys.path.insert(0, str(GOLDEN))

import make  # noqa: E402

# The models that each backend saves. Golden files, and those of `TRAINED`, have further kinds.
SAVED = {
    "tensorflow": ["lstm-last-forward"],
    # Without compilation.
    "torch": ["backbone", "chooser"],
    "jax": ["gru-max-both"],
}
# A batch, since each shape is compiled.
EXAMPLES = keras_qa.datasets.babi.simulate(task=1, examples=32, seed=0)
MARKED = [
    dataclasses.replace(item, answer_start=(item.plain_text.rindex(item.answers[0]),))
    for item in EXAMPLES
]
TYPES = {"answer_types": ["span", "yes", "no"]}
# Every third question has the answer yes, and every third one no.
TYPED = [
    dataclasses.replace(item, answers=answer or item.answers, answer_start=start)
    for item, answer in zip(MARKED, itertools.cycle(("", "yes", "no")), strict=False)
    for start in [() if answer else item.answer_start]
]
PLACES = ("home", "to the bathroom", "", "at home")
# In letters that the tokenizer of the small encoder knows.
CHOSEN = [
    Example(f"Mary went {place}, then she slept. " * 3, "Mary went", place, choices=PLACES[:count])
    for place in PLACES[:2]
    for count in (2, 3, 4)
]
QUESTIONS = [*EXAMPLES[:20], Example("", "Where is Mary?"), Example("Mary is here.", "")]


def train_classifier(name: str) -> keras_qa.QuestionAnswerer:
    cell, pooling, direction = name.split("-")
    options = {"cell": cell, "pooling": pooling, "bidirectional": direction == "both"}
    options |= {"hidden_dim": 8, "dropout": 0.1}
    answerer = keras_qa.QuestionAnswerer(model_options=options, seed=0)
    return answerer.fit(EXAMPLES, epochs=1, verbose=0)


def train_reader() -> keras_qa.QuestionAnswerer:
    options = {"backbone": bert(num_layers=2), "tokenizer": TOKENIZER, **TYPES}
    answerer = keras_qa.QuestionAnswerer("span_reader", options, seed=0, max_length=40, stride=8)
    return answerer.fit(TYPED, validation_data=TYPED[:20], epochs=1, verbose=0)


def train_chooser() -> keras_qa.QuestionAnswerer:
    options = {"units": 8, "embedding_dim": 8}
    answerer = keras_qa.QuestionAnswerer(
        "multiple_choice", options, seed=0, max_length=24, stride=4
    )
    answerer.fit(CHOSEN, epochs=1, batch_size=2, verbose=0)
    random = np.random.default_rng(0)
    for weight in answerer.model_.trainable_variables:
        if len(weight.shape) == 2:
            weight.assign(random.normal(size=weight.shape, scale=0.3))
    return answerer


def save() -> None:
    others = {"backbone": train_reader, "chooser": train_chooser}
    for name in SAVED[BACKEND]:
        answerer = others[name]() if name in others else train_classifier(name)
        answerer.save(f"{BACKEND}-{name}.keras")


def wait() -> None:
    """Waits until all backends have saved their files."""
    print("saved", flush=True)
    sys.stdin.readline()


def outputs(path: pathlib.Path) -> dict[str, np.ndarray]:
    answerer = keras_qa.load(path)
    if answerer.model_.preprocessor.name == "choices":
        return chosen(answerer)
    reads = answerer.model_.preprocessor.name == "spans"
    questions = MARKED[:20] if reads else QUESTIONS
    feed = answerer.vectorizer_(questions)
    feed = feed.feed if reads else feed
    predicted = answerer.model_.predict(feed, verbose=0)
    ranked = answerer.answer(
        [item.text for item in questions], [item.question for item in questions], top_k=3
    )
    return {
        "words": next(iter(feed.values())),
        **{f"output-{place}": part for place, part in enumerate(keras.tree.flatten(predicted))},
        "scores": np.array([[answer.score for answer in row] for row in ranked]),
        "answers": np.array([[answer.text for answer in row] for row in ranked]),
        "support": np.array([fact.weight for row in ranked for fact in row[0].support]),
    }


def chosen(answerer: keras_qa.QuestionAnswerer) -> dict[str, np.ndarray]:
    feed, labels = answerer.model_.preprocessor.make_training_data(answerer.model_, CHOSEN)
    ranked = answerer.answer(CHOSEN, top_k=2)
    return {
        **feed,
        "logits": answerer.model_.predict(feed, verbose=0),
        "loss": np.array(answerer.model_.evaluate(feed, labels, verbose=0)),
        "scores": np.array([[answer.score for answer in row] for row in ranked]),
        "answers": np.array([[answer.text for answer in row] for row in ranked]),
    }


def ask() -> None:
    arrays = {
        f"{path.stem}/{key}": value
        for path in sorted(pathlib.Path().glob("*.keras"))
        for key, value in outputs(path).items()
    }
    np.savez(f"{BACKEND}.npz", **arrays)


def ask_golden() -> None:
    with tempfile.TemporaryDirectory() as folder:
        found = {
            path.stem: make.asked(make.load(path, pathlib.Path(folder)))
            for path in GOLDEN.glob("*.keras")
        }
    pathlib.Path(f"golden-{BACKEND}.json").write_text(json.dumps(found), "utf-8")


# The classifiers that each backend saves: family, task, number of labels.
HEADS = {
    "tensorflow": ("roberta", "sequence_classification", 3),
    "torch": ("modernbert", "token_classification", 2),
    "jax": ("electra", "multiple_choice", 1),
}


def save_head() -> None:
    kind, task, labels = HEADS[BACKEND]
    folder = with_head(pathlib.Path(f"encoder-{kind}"), kind, "Model", {})
    model = keras_qa.models.text_classifier(folder, task, labels)
    # Not larger: rounding in the encoders, whose random weights are large, reaches 1e-5 itself.
    random = np.random.default_rng(0)
    for weight in model.get_layer("logits").weights:
        weight.assign(random.normal(size=weight.shape, scale=0.2))
    pathlib.Path("heads").mkdir(exist_ok=True)
    model.save(f"heads/{kind}.keras")


def predict_heads() -> None:
    found = {}
    for path in pathlib.Path("heads").glob("*.keras"):
        model = keras.saving.load_model(path)
        texts = [item.plain_text for item in EXAMPLES[:20]]
        feed = model.preprocessor.make_feed(model, [item.question for item in EXAMPLES[:20]], texts)
        found[path.stem] = model.predict(feed, verbose=0)
    np.savez(f"heads/{BACKEND}.npz", **found)


def export_graphs() -> None:
    """Exports files of all backends, and a reader with LoRA; writes the checksums."""
    files = [*pathlib.Path("heads").glob("*.keras")]
    files.append(pathlib.Path("tensorflow-lstm-last-forward.keras"))
    models = {path.stem: keras.saving.load_model(path) for path in files}
    # The tokenizer of the tests is trained anew, and differs, in each process.
    backbone = copy("bert", pathlib.Path(f"bert-{BACKEND}"), tokenizer=False)
    tokenizer = GOLDEN / "exported" / "reader" / "tokenizer.json"
    reader = keras_qa.models.span_reader(backbone=backbone, tokenizer=tokenizer)
    enable_lora(transformer_of(reader), 2)
    random = np.random.default_rng(0)
    for weight in reader.trainable_variables:
        weight.assign(random.normal(size=weight.shape, scale=0.3))
    sums = {}
    for name, model in {**models, "lora": reader}.items():
        folder = pathlib.Path(f"onnx-{BACKEND}") / name
        export(model, folder)
        for path in folder.rglob("*.*"):
            key = path.relative_to(folder.parent).as_posix()
            sums[key] = hashlib.sha256(path.read_bytes()).hexdigest()
    pathlib.Path(f"onnx-{BACKEND}.json").write_text(json.dumps(sums))


def windows(model: keras.Model) -> tuple[dict, dict]:
    found = model.preprocessor.vectorizer(FEW_MARKED * 32, labels=True)
    return found.feed, {"start": found.spans[..., 0], "end": found.spans[..., 1]}


def with_facts(model: keras.Model) -> tuple[list, dict]:
    feed, labels, facts = stories(96)
    return feed, {"answer": labels, "support": facts}


# Models without dropout, and functions that make their data.
TRAINED = {
    "classifier": (small_model, lambda model: padded_batch(96)),
    "memory-network": (functools.partial(memory, noise=0.0), lambda model: stories(96)[:2]),
    "universal-transformer": (
        functools.partial(universal, supporting_facts=True),
        with_facts,
    ),
    "reader": (functools.partial(reader, dropout=0.0), lambda model: words_to_find(96)),
    "backbone": (functools.partial(backbone_reader, dropout=0.0), windows),
}


def start() -> None:
    """Saves the models before their training, on PyTorch for all backends."""
    if BACKEND != "torch":
        return
    pathlib.Path("steps").mkdir()
    for kind, (make_model, _) in TRAINED.items():
        keras.utils.set_random_seed(0)
        # Adam squares each lookup's gradient on TensorFlow, and their sum on the others.
        model = make_model(optimizer=keras.optimizers.SGD(0.05, momentum=0.9))
        model.save(f"steps/{kind}.keras")


def train() -> None:
    found = {}
    for kind, (_, data) in TRAINED.items():
        model, losses = keras.saving.load_model(f"steps/{kind}.keras"), []
        note = keras.callbacks.LambdaCallback(
            on_train_batch_end=lambda step, logs, losses=losses: losses.append(logs["loss"])
        )
        feed, labels = data(model)
        make_variables(model, feed, labels)
        # Two epochs of twelve batches of one shape, because each shape is compiled.
        model.fit(feed, labels, batch_size=8, epochs=2, callbacks=[note], shuffle=False, verbose=0)
        assert len(losses) == 24
        found[kind] = np.array(losses)
    np.savez(f"steps/{BACKEND}.npz", **found)
