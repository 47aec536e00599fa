"""Writes a golden file of each kind, with its answers beside it. Existing files are not changed.

Run from the root of the project, on JAX: `PYTHONPATH=tests python tests/golden/make.py`. Files are
never written again: every later version must load what an earlier one wrote.
"""

from __future__ import annotations

import dataclasses
import json
import pathlib
import shutil
import tempfile

import keras
import small_backbones
from small_checkpoints import copy
from small_encoders import Letters

import keras_qa

FOLDER = pathlib.Path(__file__).parent
STORIES = keras_qa.datasets.babi.simulate(task=1, examples=40, seed=0)
MARKED = [
    dataclasses.replace(item, answer_start=(item.plain_text.rindex(item.answers[0]),))
    for item in STORIES
]
UNANSWERED = [
    dataclasses.replace(item, question="Who is it?", answers=(), answer_start=())
    for item in MARKED[:8]
]
QUESTIONS = [
    ("Mary moved to the bathroom. John went to the hallway.", "Where is Mary?"),
    ("", "Where is Mary?"),
    ("Mary moved to the bathroom.", ""),
    ("Sandra journeyed to the garden.\nDaniel travelled to the zoo.", "Where is Daniel?"),
]
DOCUMENTS = {
    "handbook/warranty.txt": "The warranty is two years.\n\nA repair takes ten days.",
    "handbook/returns.md": "# Returns\n\nSend it back within 30 days. Grüße aus Köln.",
    "empty": "",
}
SEARCHES = ["How long is the warranty?", "send back", "zebra"]
STORY = {"embedding_dim": 8, "max_words": 6, "max_sentences": 8}


def classifier() -> keras_qa.QuestionAnswerer:
    options = {"text_embedding_dim": 6, "text_units": 4, "pooling": "mean", "bidirectional": True}
    qa = keras_qa.QuestionAnswerer("answer_classifier", options, seed=0)
    return qa.fit(STORIES, epochs=2, verbose=0)


def memory_network() -> keras_qa.QuestionAnswerer:
    qa = keras_qa.QuestionAnswerer("memory_network", STORY, seed=0)
    return qa.fit(STORIES, epochs=2, verbose=0)


def universal_transformer() -> keras_qa.QuestionAnswerer:
    options = {**STORY, "num_steps": 2, "num_heads": 2, "supporting_facts": True}
    qa = keras_qa.QuestionAnswerer("universal_transformer", options, seed=0)
    return qa.fit(STORIES, epochs=2, verbose=0)


def reader() -> keras_qa.QuestionAnswerer:
    options = {"units": 4, "embedding_dim": 6}
    qa = keras_qa.QuestionAnswerer(
        "span_reader", options, seed=0, max_length=16, stride=4, max_answer_words=5
    )
    return qa.fit(MARKED + UNANSWERED, validation_data=MARKED[:8] + UNANSWERED, epochs=2, verbose=0)


def backbone_reader() -> keras_qa.QuestionAnswerer:
    options = {"backbone": small_backbones.bert(), "tokenizer": small_backbones.TOKENIZER}
    qa = keras_qa.QuestionAnswerer("span_reader", options, seed=0, max_length=64, stride=8)
    recipe = keras_qa.recipes.FINE_TUNING
    return qa.fit(
        MARKED[:8],
        validation_data=MARKED[8:12],
        epochs=1,
        optimizer=recipe.optimizer,
        verbose=0,
    )


def _checkpoint_reader() -> keras_qa.QuestionAnswerer:
    """A reader on the published encoder of `tests/checkpoints/bert`."""
    # An adapter names this folder, which exists only while it is written.
    folder = pathlib.Path(tempfile.gettempdir()) / "golden-bert"
    shutil.rmtree(folder, ignore_errors=True)
    return keras_qa.load(copy("bert", folder))


def _trained_with_lora() -> keras_qa.QuestionAnswerer:
    qa = _checkpoint_reader()
    optimizer = keras.optimizers.Adam(0.05)
    return qa.fit(MARKED[:8], epochs=2, verbose=0, optimizer=optimizer, lora_rank=2)


def lora_reader() -> keras_qa.QuestionAnswerer:
    return _trained_with_lora()


def int8_reader() -> keras_qa.QuestionAnswerer:
    qa = _checkpoint_reader()
    qa.fit(MARKED[:8], epochs=1, verbose=0, optimizer=keras.optimizers.Adam(0.01))
    qa.model_.quantize("int8")
    return qa


def adapter() -> keras_qa.QuestionAnswerer:
    return _trained_with_lora()


def load(path: pathlib.Path, folder: pathlib.Path) -> keras_qa.QuestionAnswerer:
    """Loads a golden file. An adapter needs its encoder, which is copied into `folder`."""
    if path.stem != "adapter":
        return keras_qa.load(path)
    return keras_qa.load(path, backbone=copy("bert", folder / "bert"))


def make_index(path: pathlib.Path, encoder: Letters | None) -> None:
    documents = [{"name": name, "text": text} for name, text in DOCUMENTS.items()]
    with keras_qa.documents.Index.create(path, language="en", encoder=encoder) as index:
        index.add(documents)


def searched(index: keras_qa.documents.Index) -> dict[str, object]:
    """The hits of each search and the texts, as JSON holds them."""
    hits = index.search(SEARCHES, k=3)
    return {
        "hits": [[[hit.document, hit.start, hit.text, hit.score] for hit in row] for row in hits],
        "texts": {name: index.text(name) for name in index.names},
    }


def asked(qa: keras_qa.QuestionAnswerer) -> list[dict[str, object]]:
    """What an answerer says to each question, as JSON holds it."""
    return [
        {
            "text": text,
            "question": question,
            "answers": [dataclasses.asdict(answer) for answer in qa.answer(text, question, 3)],
        }
        for text, question in QUESTIONS
    ]


KINDS = (
    classifier,
    memory_network,
    universal_transformer,
    reader,
    backbone_reader,
    lora_reader,
    int8_reader,
    adapter,
)
INDEXES = {"words": None, "vectors": Letters()}


def _write(path: pathlib.Path, found: object) -> None:
    path.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def main() -> None:
    for kind in KINDS:
        path = FOLDER / f"{kind.__name__}.keras"
        if path.exists():
            continue
        qa = kind()
        save = qa.save_adapter if kind is adapter else qa.save
        save(path)
        _write(path.with_suffix(".json"), asked(qa))
    for name, encoder in INDEXES.items():
        path = FOLDER / f"{name}.index"
        if path.exists():
            continue
        make_index(path, encoder)
        with keras_qa.documents.Index.open(path, encoder=encoder) as index:
            _write(path.with_suffix(".json"), searched(index))
    # The preset of 2026-11, which later versions replace.
    path = FOLDER / "minilm_squad_small.keras"
    if not path.exists():
        preset = pathlib.Path(keras_qa.__file__).parent / "models/ready/minilm-squad-small.keras"
        shutil.copy(preset, path)
        _write(path.with_suffix(".json"), asked(keras_qa.load(path)))


if __name__ == "__main__":
    main()
