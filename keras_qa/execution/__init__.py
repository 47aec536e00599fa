"""How a model runs on each backend, where Keras alone is slower or loses something.

Keras trains, evaluates and predicts. Each backend has a file with the same names and arguments:

- `BatchPredictor(model)` computes the outputs of one batch by the model's `predict_step`. It may be
  called from several threads.
- `map_steps(model, function, steps)` calls a function for each step of a prediction, and yields the
  results in order.
- `keep_weights(model, trains)` keeps the weights usable after an exception in its block.
- `as_dataset(batches)` returns the form of batches that `fit` reads with any width.
- `jit_compile(model, losses_and_metrics)` returns what `jit_compile="auto"` is to mean, `None` for
  Keras' choice.
- `Layer` is the base class of our layers.
- `zeros(shape, dtype)` is an initializer for weights that are replaced at once.
- `assign(variable, array)` sets a weight. `seed(number)` seeds the backend's own generator.
- `has_accelerator()` is true if models run on something else than a CPU.

What these functions need to know of a model is in `execution.graph`, by attributes that layers
declare.
"""

from keras_qa import _backend

_backend.require()

import importlib
from typing import TYPE_CHECKING

import keras

if TYPE_CHECKING:
    # Every file has the same names and arguments.
    from keras_qa.execution import torch as _backends
else:
    _backends = importlib.import_module(f"keras_qa.execution.{keras.config.backend()}")

BatchPredictor = _backends.BatchPredictor
Layer = _backends.Layer
as_dataset = _backends.as_dataset
assign = _backends.assign
has_accelerator = _backends.has_accelerator
jit_compile = _backends.jit_compile
map_steps = _backends.map_steps
keep_weights = _backends.keep_weights
seed = _backends.seed
zeros = _backends.zeros
