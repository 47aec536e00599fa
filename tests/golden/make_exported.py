"""Writes the exported folders beside it, and what their models answer.

Run from the root of the project: `PYTHONPATH=tests python tests/golden/make_exported.py`. Golden
folders are never written again: every later version must load them without Keras and give the same
answers.
"""

from __future__ import annotations

import dataclasses
import json
import pathlib
import tempfile

import keras
from small_checkpoints import copy, cross_encoder

import keras_qa
from keras_qa import Example, QuestionAnswerer
from keras_qa.answering import Ranker, TextEmbedder
from keras_qa.exporting import export
from keras_qa.models import span_reader

FOLDER = pathlib.Path(__file__).parent / "exported"
# In letters that the tokenizer knows.
SPANS = [
    Example(f"{who} went {place}{end}", f"Where went {who}?", place, len(who) + 6)
    for who in ("Mary", "she")
    for place in ("home", "to the bathroom", "to the home")
    for end in (".", ", then she slept.")
]
WITHOUT = [
    Example(f"{who} slept{end}", f"Where went {who}?", id=f"{who}{end}")
    for who in ("Mary", "she")
    for end in (".", ", then she slept.", " at home.")
]
QUIET = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
ASKED = [
    ("then she slept. Mary went to the bathroom. then she slept at home. " * 3, "Where went Mary?"),
    ("Mary went home.", "Where went Mary?"),
    ("Mary slept.", "Where went Mary?"),
    ("", "Where went Mary?"),
    ("Mary went home.", ""),
]


def trained_reader(folder: pathlib.Path) -> QuestionAnswerer:
    """A small reader that gives no answer to some questions."""
    keras.utils.set_random_seed(0)
    model = span_reader(backbone=copy("bert", folder / "bert", **QUIET), dropout=0.0)
    qa = QuestionAnswerer(model, max_length=48, stride=8, seed=0)
    optimizer, data = keras.optimizers.Adam(0.01), SPANS + WITHOUT
    return qa.fit(data, validation_data=data, epochs=20, optimizer=optimizer, verbose=0)


def answers(model: QuestionAnswerer | Ranker | TextEmbedder) -> object:
    """What a model computes, as JSON holds it."""
    if isinstance(model, Ranker):
        texts = [text for text, _ in ASKED]
        return [dataclasses.asdict(one) for one in model.rank("Where went Mary?", texts)]
    if isinstance(model, TextEmbedder):
        return model([text for text, _ in ASKED]).tolist()
    return [
        [dataclasses.asdict(one) for one in model.answer(text, question, top_k=3)]
        for text, question in ASKED
    ]


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        place = pathlib.Path(name)
        models = {
            "reader": trained_reader(place),
            "classifier": keras_qa.load(FOLDER.parent / "classifier.keras"),
            "ranker": keras_qa.load(cross_encoder(place / "cross")),
            "embedder": TextEmbedder(copy("mpnet", place / "mpnet"), name="small"),
        }
        for kind, model in models.items():
            export(model, FOLDER / kind)
            text = json.dumps(answers(model), indent=1, ensure_ascii=False) + "\n"
            (FOLDER / f"{kind}.json").write_text(text, encoding="utf-8")
        export(models["reader"], FOLDER / "reader", True, SPANS + WITHOUT, max_loss=20)
