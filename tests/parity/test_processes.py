"""Several installed backends in one process: imports, devices, SQLite."""

import pytest
from interpreters import python

TRAINING = """
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

# TensorFlow has an SQLite of its own.
TENSORFLOW = """
import sys
import tensorflow as tf

# Two devices of one CPU.
cpu, = tf.config.list_physical_devices("CPU")
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)

import keras, numpy as np, keras_qa
class Noting(keras_qa.models.QAModel):
    def predict_step(self, data):
        outputs = super().predict_step(data)
        seen.add(outputs.device[-5:])
        return outputs

seen = set()

def predicted():
    seen.clear()
    model.predict(feed, batch_size=2, verbose=0)
    return sorted(seen)

base = keras_qa.models.answer_classifier(50, 50, 5)
model = Noting(base.inputs, base.outputs[0])
model.compile(run_eagerly=True)
feed = [np.ones((80, 6), "int32"), np.ones((80, 4), "int32")]
before = predicted()
with tf.device("CPU:1"):
    print(before, predicted())
print(predicted())

with keras_qa.documents.Index.create(sys.argv[1], language="en") as index:
    index.add([{"name": "a.txt", "text": "The warranty is two years."}])
    print([hit.document for hit in index.search("Which warranties?")])
"""


@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_a_model_does_not_import_another_backend(backend: str) -> None:
    done = python(TRAINING, KERAS_BACKEND=backend)
    assert done.stdout.split("\n")[-2] == "[]", done.stderr


def test_tensorflow_leaves_an_index_as_it_is_and_a_device_applies_to_all_threads(tmp_path) -> None:
    done = python(TENSORFLOW, str(tmp_path / "a.index"), KERAS_BACKEND="tensorflow")
    assert done.stdout == "['CPU:0'] ['CPU:1']\n['CPU:0']\n['a.txt']\n", done.stderr
