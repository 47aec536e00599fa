"""A small classic model, its feeds, and whether its weights have moved."""

from __future__ import annotations

import keras
import numpy as np

import keras_qa

TEXT_VOCABULARY = 50
QUESTION_VOCABULARY = 40
ANSWERS = 7


def trained_model(loss: str = "sparse_categorical_crossentropy") -> keras_qa.models.QAModel:
    """A small classic model, trained a little, so that no weight is at its start."""
    keras.utils.set_random_seed(0)
    model = keras_qa.models.answer_classifier(
        TEXT_VOCABULARY,
        QUESTION_VOCABULARY,
        ANSWERS,
        text_embedding_dim=6,
        text_units=5,
        question_embedding_dim=4,
        question_units=3,
        loss=loss,
    )
    model.fit(*batch(32), epochs=1, batch_size=16, verbose=0)
    return model


def state(model: keras.Model) -> list:
    return [*model.variables, *model.optimizer.variables]


def batch(size: int, seed: int = 0) -> tuple[list[np.ndarray], np.ndarray]:
    """A good feed, `[text, question]`, and its labels."""
    rng = np.random.default_rng(seed)
    text = rng.integers(1, TEXT_VOCABULARY, (size, 9), dtype="int32")
    question = rng.integers(1, QUESTION_VOCABULARY, (size, 4), dtype="int32")
    return [text, question], rng.integers(0, ANSWERS, size, dtype="int32")


def same_weights(model: keras.Model, before: list[np.ndarray]) -> bool:
    """Whether the weights are bit for bit what they were."""
    after = model.get_weights()
    return all(np.array_equal(one, other) for one, other in zip(before, after, strict=True))
