"""Another backend that is installed is not loaded."""

import pytest
from interpreters import python

CODE = """
import sys, keras
# Keras itself looks for JAX on PyTorch.
before = set(sys.modules)
import keras_qa, numpy as np
model = keras_qa.models.answer_classifier(50, 40, 7, 6, 5)
feed, labels = [np.ones((20, 9), "int32"), np.ones((20, 4), "int32")], np.zeros(20, "int32")
model.fit(feed, labels, batch_size=8, epochs=2, verbose=0)
model.evaluate(feed, labels, verbose=0)
model.predict(feed, batch_size=8, verbose=0)
model.predict([array[:1] for array in feed], verbose=0)
print(sorted({"tensorflow", "torch", "jax"} & (set(sys.modules) - before)))
"""


@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_a_model_that_is_trained_and_asked_loads_no_other_backend(backend: str) -> None:
    done = python(CODE, KERAS_BACKEND=backend)
    assert done.stdout.split("\n")[-2] == "[]", done.stderr
