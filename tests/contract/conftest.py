"""Fixtures: models that are compiled once, and set back before each test."""

from model_fixtures import (  # noqa: F401
    kept_models,
    model,
    seeded,
    seeded_once,
    trained_twins,
    twins,
)
