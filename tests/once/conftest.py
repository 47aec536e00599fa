"""Fixtures: models that are compiled once, and set back before each test; and answerers that are
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
from small_examples import EXAMPLES, SPANS, WITHOUT

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


def span_reader(**options) -> QuestionAnswerer:
    sizes = {"units": 8, "embedding_dim": 8, "dropout": 0.0}
    sizes["optimizer"] = keras.optimizers.Adam(0.02)
    return QuestionAnswerer("span_reader", model_options=sizes, seed=1, **options)


@pytest.fixture(scope="session")
def reader() -> QuestionAnswerer:
    """Knows `SPANS` by heart, and `WITHOUT`, the texts without an answer."""
    data = SPANS + WITHOUT
    return span_reader().fit(data, data, epochs=40, batch_size=16, verbose=0)
