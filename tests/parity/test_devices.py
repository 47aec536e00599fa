"""A device that is asked for around `predict` holds in all of its threads."""

import pytest
from interpreters import python

CODE = """
import tensorflow as tf

# As if there were two.
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
print(predicted())
with tf.device("CPU:1"):
    print(predicted())
print(predicted())
"""


@pytest.fixture(scope="module")
def printed() -> list[str]:
    done = python(CODE, KERAS_BACKEND="tensorflow")
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_a_device_of_tensorflow_holds_in_every_thread(printed) -> None:
    assert printed[:3] == ["['CPU:0']", "['CPU:1']", "['CPU:0']"]
