"""Fixtures of tests that need a backend. `conftest.py` loads them before the first such file."""

from __future__ import annotations

import pathlib
import random

import keras
import numpy as np
import pytest
from small_examples import EXAMPLES, SPANS, WITHOUT
from small_models import small_model, state, trained_model

import keras_qa
from keras_qa import QuestionAnswerer
from keras_qa.engine import execution
from keras_qa.preprocessing import SpanDecoder, SpanPreprocessor

if keras.config.backend() == "tensorflow":
    import tensorflow as tf

    # Graphs run once or twice here, and optimising them takes a fifth of the time. They are
    # optimised in tests/parity, as where a user runs them.
    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})


@pytest.fixture(scope="session")
def seeded_once() -> None:
    keras.utils.set_random_seed(0)


@pytest.fixture
def seeded(seeded_once) -> None:
    # `keras.utils.set_random_seed` would make TensorFlow trace all its functions again. Keras draws
    # the seeds of layers from `random`.
    random.seed(0)
    np.random.seed(0)
    execution.seed(0)


@pytest.fixture(scope="session")
def trained_twins() -> tuple[list[keras_qa.models.QAModel], list[np.ndarray]]:
    # Make the models once and restore them before each test, because compiling is slow.
    models = [trained_model(), trained_model()]
    return models, [keras.ops.convert_to_numpy(value) for value in state(models[0])]


@pytest.fixture
def twins(trained_twins) -> list[keras_qa.models.QAModel]:
    """Two trained models with equal weights and optimizer state. Tests may change them."""
    models, start = trained_twins
    for model in models:
        for variable, value in zip(state(model), start, strict=True):
            variable.assign(value)
    return models


@pytest.fixture
def model(twins) -> keras_qa.models.QAModel:
    """A trained model. Tests may change it."""
    return twins[0]


@pytest.fixture(scope="session")
def kept_models() -> dict[str, keras_qa.models.QAModel]:
    """A model for each cross-entropy. Tests must not change the weights."""
    losses = ("sparse_categorical_crossentropy", "categorical_crossentropy")
    return {loss: small_model(loss) for loss in losses}


@pytest.fixture(scope="session")
def classifier() -> QuestionAnswerer:
    """Knows `EXAMPLES` by heart. Tests must not train it."""
    options = {"optimizer": keras.optimizers.Adam(0.03)}
    answerer = QuestionAnswerer(model_options=options, seed=1)
    # One long epoch: the end of an epoch takes as long as two steps.
    return answerer.fit(EXAMPLES, epochs=1, steps_per_epoch=30, batch_size=9, verbose=0)


@pytest.fixture(scope="session")
def classifier_file(classifier, tmp_path_factory) -> str:
    path = tmp_path_factory.mktemp("classifier") / "qa.keras"
    classifier.save(path)
    return str(path)


@pytest.fixture(scope="session")
def golden_reader() -> QuestionAnswerer:
    """The reader in `tests/golden`, which knows texts without an answer. Tests must not train it.

    With its own decoder it would give no answer to every question.
    """
    loaded = keras_qa.load(pathlib.Path(__file__).parent / "golden" / "reader.keras")
    vectorizer = loaded.model_.preprocessor.vectorizer
    loaded.model_.preprocessor = SpanPreprocessor(vectorizer, SpanDecoder(4, True, 1.0, 1.5))
    return loaded


@pytest.fixture(scope="session")
def reader() -> QuestionAnswerer:
    """Knows `SPANS` by heart. Tests must not train it."""
    options = {"units": 8, "embedding_dim": 8, "dropout": 0.0}
    options["optimizer"] = keras.optimizers.Adam(0.04)
    answerer = QuestionAnswerer("span_reader", model_options=options, seed=1)
    return answerer.fit(SPANS, epochs=1, steps_per_epoch=30, batch_size=16, verbose=0)


@pytest.fixture(scope="session")
def doubting() -> QuestionAnswerer:
    """Knows `SPANS`, and texts without an answer. Tests must not train it."""
    options = {"units": 8, "embedding_dim": 8, "dropout": 0.0}
    options["optimizer"] = keras.optimizers.Adam(0.04)
    data = SPANS + WITHOUT
    answerer = QuestionAnswerer("span_reader", model_options=options, seed=1)
    return answerer.fit(data, validation_data=data, epochs=1, steps_per_epoch=40, verbose=0)
