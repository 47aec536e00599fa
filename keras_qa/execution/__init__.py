"""How a model runs: what feeds, trains and asks it, one file a backend, chosen once.

Every file has the same names with the same arguments; their docstrings say what each does.
"""

from keras_qa import _backend

_backend.require()

import importlib

import keras

_programs = importlib.import_module(f"keras_qa.execution.{keras.config.backend()}")

BATCHES_AT_ONCE = _programs.BATCHES_AT_ONCE
PROGRAMS = _programs.PROGRAMS
COMPILES = _programs.COMPILES
COMPILES_PRODUCTS = _programs.COMPILES_PRODUCTS
BatchPredictor = _programs.BatchPredictor
as_dataset = _programs.as_dataset
assign = _programs.assign
call = _programs.call
has_accelerator = _programs.has_accelerator
keep_programs = _programs.keep_programs
keep_weights = _programs.keep_weights
seed = _programs.seed
zeros = _programs.zeros
hide_filled_rows = _programs.hide_filled_rows
part_widths = _programs.part_widths
prepare_testing = _programs.prepare_testing
prepare_training = _programs.prepare_training
test_step = _programs.test_step
train_step = _programs.train_step
