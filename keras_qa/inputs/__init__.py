"""What models are fed: any feed, label or data source as checked arrays, in length buckets.

Every check happens here, on the host, before a backend sees the data.
"""

from keras_qa import _backend

_backend.require()

from keras_qa.inputs.arrays import to_arrays
from keras_qa.inputs.hard_examples import HardExampleSampling
from keras_qa.inputs.labels import to_labels

__all__ = ["HardExampleSampling", "to_arrays", "to_labels"]
