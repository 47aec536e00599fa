"""A device that is asked for around `predict` holds in all of its threads."""

from interpreters import python

CODE = """
import tensorflow as tf

# As if there were two.
cpu, = tf.config.list_physical_devices("CPU")
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)

import numpy as np, keras_qa
from keras_qa import execution

seen = set()
finish = execution.BatchPredictor.finish

def noting(self, outputs):
    found = outputs.result() if hasattr(outputs, "result") else outputs
    seen.add(tf.nest.flatten(found)[0].device[-5:])
    return finish(self, outputs)

def predicted():
    seen.clear()
    model.predict(feed, batch_size=2, verbose=0)
    return sorted(seen)

execution.BatchPredictor.finish = noting
model = keras_qa.models.answer_classifier(50, 50, 5)
feed = [np.ones((8, 6), "int32"), np.ones((8, 4), "int32")]
print(predicted())
with tf.device("CPU:1"):
    print(predicted())
print(predicted())
"""


def test_a_device_of_tensorflow_holds_in_every_thread() -> None:
    done = python(CODE, KERAS_BACKEND="tensorflow")
    assert done.returncode == 0, done.stderr
    assert done.stdout.split("\n")[:3] == ["['CPU:0']", "['CPU:1']", "['CPU:0']"]
