"""Makes a golden file of each kind, beside what it answers. Files that are there are left alone.

Run from the root of the project, on JAX: `PYTHONPATH=tests python tests/golden/make.py`. The files
are never made anew: what a release has written, every later one has to load.
"""

from __future__ import annotations

import dataclasses
import json
import pathlib

import small_backbones

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
        "span_reader", options, seed=0, length=16, overlap=4, max_answer_words=5
    )
    return qa.fit(MARKED + UNANSWERED, validation_data=MARKED[:8] + UNANSWERED, epochs=2, verbose=0)


def backbone_reader() -> keras_qa.QuestionAnswerer:
    options = {"backbone": small_backbones.bert(), "tokenizer": small_backbones.TOKENIZER}
    qa = keras_qa.QuestionAnswerer("span_reader", options, seed=0, length=64, overlap=8)
    recipe = keras_qa.recipes.FINE_TUNING
    return qa.fit(
        MARKED[:8],
        validation_data=MARKED[8:12],
        epochs=1,
        optimizer=recipe.optimizer,
        verbose=0,
    )


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


KINDS = (classifier, memory_network, universal_transformer, reader, backbone_reader)


def main() -> None:
    for kind in KINDS:
        path = FOLDER / f"{kind.__name__}.keras"
        if path.exists():
            continue
        qa = kind()
        qa.save(path)
        answers = json.dumps(asked(qa), indent=1, ensure_ascii=False)
        path.with_suffix(".json").write_text(answers + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
