"""Fixtures: models that are compiled once, and set back before each test."""

import keras
from model_fixtures import (  # noqa: F401
    kept_models,
    model,
    seeded,
    seeded_once,
    trained_twins,
    twins,
)

if keras.config.backend() == "tensorflow":
    import tensorflow as tf

    # Graphs run once or twice here, and optimising them takes a fifth of the time. They are
    # optimised in tests/parity, as where a user runs them.
    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})
