"""What differs between backends when Keras trains, evaluates or predicts with a model.

One file for each backend, with the same names and arguments:

- `BatchPredictor(model)` computes the outputs of one batch by the model's `predict_step`. It takes
  and returns lists of arrays, in the order of the model's inputs and outputs. It is thread-safe.
- `map_steps(model, function, steps)` calls a function for each step of a prediction, and yields the
  results in order.
- `keep_weights(model, trains)` is a context manager that keeps the weights usable after an
  exception. It gives the callbacks that `fit` needs for that. On JAX it restores copies; on other
  backends it does nothing. Unless `trains`, the state of the optimizer is ignored.
- `as_dataset(batches, in_memory)` returns batches, a `keras.utils.PyDataset` or a generator of
  tuples of arrays, in the form that `fit` reads at any width: a `tf.data.Dataset` on TensorFlow,
  unchanged elsewhere. `in_memory` promises that `batches` is a `PyDataset` that never raises, which
  TensorFlow reads in a third of the time.
- `jit_compile(model, losses_and_metrics)` returns the meaning of `jit_compile="auto"`: `True`, or
  `None` for Keras' choice.
- `seed(number)` seeds random numbers that do not come from Keras' seed generators: PyTorch's.
- `has_accelerator()` is true if models run on another device than a CPU.

These functions read what they need to know about a model from attributes of its layers, see
`engine.graph`.
"""

import importlib
from typing import TYPE_CHECKING

import keras

if TYPE_CHECKING:
    from keras_qa.engine import torch as _backends
else:
    _backends = importlib.import_module(f"keras_qa.engine.{keras.config.backend()}")

BatchPredictor = _backends.BatchPredictor
as_dataset = _backends.as_dataset
has_accelerator = _backends.has_accelerator
jit_compile = _backends.jit_compile
map_steps = _backends.map_steps
keep_weights = _backends.keep_weights
seed = _backends.seed
