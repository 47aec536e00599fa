"""Fixtures: models that are compiled once, and set back before each test; and an answerer that is
trained once, which tests ask and save, and never train."""

from __future__ import annotations

import keras
import pytest
from model_fixtures import (  # noqa: F401
    kept_models,
    model,
    seeded,
    seeded_once,
    trained_twins,
    twins,
)
from small_examples import EXAMPLES

from keras_qa import QuestionAnswerer


@pytest.fixture(scope="session")
def classifier() -> QuestionAnswerer:
    """Knows `EXAMPLES` by heart."""
    options = {"optimizer": keras.optimizers.Adam(0.03)}
    answerer = QuestionAnswerer(model_options=options, seed=1)
    return answerer.fit(EXAMPLES, epochs=30, batch_size=9, verbose=0)


@pytest.fixture(scope="session")
def classifier_file(classifier, tmp_path_factory) -> str:
    path = tmp_path_factory.mktemp("classifier") / "qa.keras"
    classifier.save(path)
    return str(path)
