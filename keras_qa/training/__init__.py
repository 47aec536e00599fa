"""Training by a recipe, with checkpoints, early stopping and several seeds."""

from keras_qa import _backend

_backend.require()

from keras_qa.answering.index_examples import examples_from_index
from keras_qa.training.distillation import distill
from keras_qa.training.recipe import Recipe
from keras_qa.training.results import Training
from keras_qa.training.runs import train

__all__ = ["Recipe", "Training", "distill", "examples_from_index", "train"]
