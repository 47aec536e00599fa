"""Training by a recipe, with checkpoints, early stopping and several seeds."""

from keras_qa import _backend

_backend.require()

from keras_qa.recipes.precision import Precision, choose_precision
from keras_qa.recipes.recipe import FINE_TUNING, LORA, Recipe, recipe_for
from keras_qa.recipes.results import Run, Training, add_results, summary
from keras_qa.recipes.training import train

__all__ = [
    "FINE_TUNING",
    "LORA",
    "Precision",
    "Recipe",
    "Run",
    "Training",
    "add_results",
    "choose_precision",
    "recipe_for",
    "summary",
    "train",
]
