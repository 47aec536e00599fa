"""Fixtures that every test file may use."""

from __future__ import annotations

import faulthandler
import sys

import keras
import numpy as np
import pytest

import keras_qa

TEXT_VOCABULARY = 50
QUESTION_VOCABULARY = 40
ANSWERS = 7


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish() -> None:
    # A process that does not end when its tests have would hold up what comes after it, and not
    # say where it stands.
    faulthandler.dump_traceback_later(300, exit=True, file=sys.__stderr__)


@pytest.fixture(autouse=True)
def seeded() -> None:
    keras.utils.set_random_seed(0)


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


@pytest.fixture(scope="session")
def trained_twins() -> tuple[list[keras_qa.models.QAModel], list[np.ndarray]]:
    # Two models are made once, and set back before each test: compiling takes most of the time.
    models = [trained_model(), trained_model()]
    return models, [keras.ops.convert_to_numpy(value) for value in state(models[0])]


@pytest.fixture
def twins(trained_twins) -> list[keras_qa.models.QAModel]:
    """Two trained models with the same weights and optimizer state, that a test may change."""
    models, start = trained_twins
    for model in models:
        for variable, value in zip(state(model), start, strict=True):
            variable.assign(value)
    return models


@pytest.fixture
def model(twins) -> keras_qa.models.QAModel:
    """A trained model that a test may change."""
    return twins[0]


@pytest.fixture(scope="session")
def kept_models() -> dict[str, keras_qa.models.QAModel]:
    """A trained model for each cross-entropy, for tests that must leave the weights alone."""
    losses = ("sparse_categorical_crossentropy", "categorical_crossentropy")
    return {loss: trained_model(loss) for loss in losses}


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
