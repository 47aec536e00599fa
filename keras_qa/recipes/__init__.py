"""How to train: one recipe for every task, with checkpoints, early stopping and several seeds."""

from keras_qa import _backend

_backend.require()

from keras_qa.recipes.precision import Precision, choose_precision
from keras_qa.recipes.recipe import (
    DEFAULT,
    FINE_TUNING,
    LORA,
    MEMORY_NETWORK,
    SPAN_READER,
    UNIVERSAL_TRANSFORMER,
    Recipe,
    recipe_for,
)
from keras_qa.recipes.results import FAILED, Run, Training, add_results, summary
from keras_qa.recipes.training import check_out, checkpoint_path, train

__all__ = [
    "DEFAULT",
    "FAILED",
    "FINE_TUNING",
    "LORA",
    "MEMORY_NETWORK",
    "SPAN_READER",
    "UNIVERSAL_TRANSFORMER",
    "Precision",
    "Recipe",
    "Run",
    "Training",
    "add_results",
    "check_out",
    "checkpoint_path",
    "choose_precision",
    "recipe_for",
    "summary",
    "train",
]
