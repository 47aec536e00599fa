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

from small_checkpoints import copy, cross_encoder
from small_readers import SPANS, WITHOUT, trained_reader

import keras_qa
from keras_qa import QuestionAnswerer
from keras_qa.answering import Reranker, TextEmbedder
from keras_qa.onnx import export

FOLDER = pathlib.Path(__file__).parent / "exported"
ASKED = [
    ("then she slept. Mary went to the bathroom. then she slept at home. " * 3, "Where went Mary?"),
    ("Mary went home.", "Where went Mary?"),
    ("Mary slept.", "Where went Mary?"),
    ("", "Where went Mary?"),
    ("Mary went home.", ""),
]


def answers(model: QuestionAnswerer | Reranker | TextEmbedder) -> object:
    """What a model computes, as JSON holds it."""
    if isinstance(model, Reranker):
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
