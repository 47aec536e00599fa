"""The small checkpoints of `tests/checkpoints`, their logits from `transformers`, and training."""

import json
import pathlib
import shutil

import keras
import numpy as np
from safetensors.numpy import load_file, save_file
from small_tokenizers import wordpiece

FOLDER = pathlib.Path(__file__).parent / "checkpoints"
KINDS = sorted(path.parent.name for path in FOLDER.glob("*/config.json"))
# One kind for each kind of block. The blocks of others are those of BERT.
BLOCKS = ["bert", "deberta-v2", "modernbert", "mpnet"]
TOLERANCE = 2e-5


def feed(model: keras.Model, kind: str) -> dict[str, np.ndarray]:
    """The inputs of the logits, by the names of a reader's inputs."""
    arrays = np.load(FOLDER / kind / "logits.npz")
    names = {
        "token_ids": "input_ids",
        "segment_ids": "token_type_ids",
        "padding_mask": "attention_mask",
    }
    return {tensor.name: arrays[names[tensor.name]] for tensor in model.inputs}


def differences(model: keras.Model, kind: str) -> list[float]:
    """The largest differences from the logits of `transformers`, without padding."""
    arrays = np.load(FOLDER / kind / "logits.npz")
    logits = model.predict(feed(model, kind), verbose=0)
    there = arrays["attention_mask"] != 0
    return [float(np.abs(logits[n] - arrays[n])[there].max()) for n in ("start", "end")]


LABELS = {"start": np.array([6, 4, 0]), "end": np.array([9, 4, 0])}


def train_two_steps(reader: keras.Model, arrays, labels=LABELS) -> list[str]:
    """Returns the paths of the weights that did not change."""
    # TensorFlow traces a graph for longer than these steps take.
    reader.run_eagerly = keras.config.backend() == "tensorflow"
    before = [variable.numpy() for variable in reader.trainable_variables]
    reader.fit(arrays, labels, epochs=2, batch_size=3, verbose=0)
    still = [
        variable.path
        for variable, value in zip(reader.trainable_variables, before, strict=True)
        if np.array_equal(variable.numpy(), value)
    ]
    # A softmax is the same whatever is added to all logits.
    return [path for path in still if path != "span/logits/bias"]


def copy(kind: str, folder: pathlib.Path, tokenizer: bool = True, **config: object) -> pathlib.Path:
    """Copies a checkpoint, with a tokenizer and changes of its config."""
    shutil.copytree(FOLDER / kind, folder)
    found = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**found, **config}))
    if tokenizer:
        wordpiece().save(str(folder / "tokenizer.json"))
    return folder


def with_head(folder: pathlib.Path, kind: str, suffix: str, heads: dict, **config) -> pathlib.Path:
    """A small checkpoint whose head is replaced by tensors of these shapes, or by no head."""
    copy(kind, folder, **{"architectures": [f"X{suffix}"], **config})
    tensors = load_file(folder / "model.safetensors")
    tensors = {name: value for name, value in tensors.items() if "qa_outputs" not in name}
    tensors = {name: value for name, value in tensors.items() if not name.startswith("classif")}
    random = np.random.default_rng(0)
    for name, shape in heads.items():
        tensors[name] = random.normal(size=shape).astype("float32")
    save_file(tensors, folder / "model.safetensors")
    return folder


def encoder_of_one_layer(folder: pathlib.Path) -> pathlib.Path:
    """A small checkpoint without a head and without dropout, which is traced soon."""
    dropout = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    with_head(folder, "bert", "Model", {}, num_hidden_layers=1, **dropout)
    tensors = load_file(folder / "model.safetensors")
    later = (".layer.1.", ".layer.2.")
    tensors = {name: value for name, value in tensors.items() if not any(n in name for n in later)}
    save_file(tensors, folder / "model.safetensors")
    return folder


def roberta_labels(folder: pathlib.Path, labels: int = 1, **config) -> pathlib.Path:
    """A model for sequence classification with a dense layer in its head."""
    heads = {
        "classifier.dense.weight": (16, 16),
        "classifier.dense.bias": (16,),
        "classifier.out_proj.weight": (labels, 16),
        "classifier.out_proj.bias": (labels,),
    }
    config = {"id2label": {str(n): f"L{n}" for n in range(labels)}, **config}
    return with_head(folder, "roberta", "ForSequenceClassification", heads, **config)


def bert_tokens(folder: pathlib.Path, **config) -> pathlib.Path:
    """A model for token classification with two labels."""
    heads = {"classifier.weight": (2, 16), "classifier.bias": (2,)}
    return with_head(folder, "bert", "ForTokenClassification", heads, **config)


def cross_encoder(folder: pathlib.Path, labels: int = 1, **config: object) -> pathlib.Path:
    """A model for sequence classification with a pooler: with one label, a ranker."""
    heads = {
        "bert.pooler.dense.weight": (16, 16),
        "bert.pooler.dense.bias": (16,),
        "classifier.weight": (labels, 16),
        "classifier.bias": (labels,),
    }
    config = {"id2label": {str(n): f"L{n}" for n in range(labels)}, **config}
    return with_head(folder, "bert", "ForSequenceClassification", heads, **config)


QUESTIONS = ["Where is Mary?", "Who slept?", ""]
TEXTS = ["Mary went to the bathroom, then she slept at home.", "", "home"]


def feed_of(model: keras.Model) -> dict[str, np.ndarray]:
    """The inputs of a classifier for three texts."""
    return model.preprocessor.make_feed(model, QUESTIONS, TEXTS)
