"""How a model runs: checked feeds, batches of rows of similar length, `QAModel`.

Feeds are checked on the host, before a backend gets them. `execution` has what differs between
backends.
"""

from keras_qa import _backend

_backend.require()

from keras_qa.engine.arrays import to_arrays

__all__ = ["to_arrays"]

_backend.register("engine")
