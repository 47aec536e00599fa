"""A device that is asked for around `predict` holds in all of its threads."""

import pytest
from interpreters import python

CODE = """
import tensorflow as tf

# As if there were two.
cpu, = tf.config.list_physical_devices("CPU")
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)

import keras, numpy as np, keras_qa
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
# More words than the vocabulary has: what is looked up is computed for it.
feed = [np.ones((80, 6), "int32"), np.ones((80, 4), "int32")]
print(predicted())
with tf.device("CPU:1"):
    print(predicted())
print(predicted())

expected = keras.Model(model.inputs, model.output).predict(feed, verbose=0)
model._predictor.batch.programs.clear()
for device in ("CPU:1", "CPU:0", "CPU:1"):
    with tf.device(device):
        for _ in range(3):
            # As if XLA took no time.
            model._predictor.batch.cost = 0.0
            for rows in (80, 1):
                got = model.predict([array[:rows] for array in feed], batch_size=2, verbose=0)
                np.testing.assert_allclose(got, expected[:rows], atol=1e-6)
    print(device, len(model._predictor.batch.programs) > 0)
"""


@pytest.fixture(scope="module")
def printed() -> list[str]:
    done = python(CODE, KERAS_BACKEND="tensorflow")
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_a_device_of_tensorflow_holds_in_every_thread(printed) -> None:
    assert printed[:3] == ["['CPU:0']", "['CPU:1']", "['CPU:0']"]


def test_weights_of_another_device_are_read_without_xla(printed) -> None:
    # XLA compiles nothing where it cannot read them, and leaves what it has compiled alone.
    assert printed[3:] == ["CPU:1 False", "CPU:0 True", "CPU:1 True"]
