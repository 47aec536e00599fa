"""Fixtures: models that are compiled once, and set back before each test."""

from model_fixtures import kept_models, model, seeded, trained_twins, twins  # noqa: F401
