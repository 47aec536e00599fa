"""Feeds, labels and data sources to checked arrays, and batches of rows of similar length.

All checks are done here, on the host, before a backend gets the data.
"""

from keras_qa import _backend

_backend.require()

from keras_qa.inputs.arrays import to_arrays
from keras_qa.inputs.labels import to_labels

__all__ = ["to_arrays", "to_labels"]

_backend.register("inputs")
