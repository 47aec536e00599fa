"""`tf.distribute` strategies: what cannot run under them raises in one line; a device's scope."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf
from small_models import batch, same_weights, small_model

import keras_qa


def strategy():
    return tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"], tf.distribute.ReductionToOneDevice())


def test_a_model_or_an_optimizer_of_another_scope() -> None:
    message = "^The model or its optimizer was built outside of the scope of the `tf.distribute` "
    model = small_model()
    before = model.get_weights()
    with strategy().scope(), pytest.raises(ValueError, match=message):
        model.fit(*batch(8), verbose=0)
    assert same_weights(model, before)
    optimizer = keras.optimizers.SGD(0.1)
    with strategy().scope():
        model = small_model(optimizer=optimizer)
    with pytest.raises(ValueError, match=message):
        model.fit(*batch(8), verbose=0)


@pytest.mark.parametrize(
    "source",
    [
        lambda: (batch(8) for _ in range(2)),
        lambda: tf.data.Dataset.from_tensors((tuple(batch(8)[0]), batch(8)[1])),
    ],
)
def test_a_data_source(source) -> None:
    with strategy().scope():
        model = small_model()
    before = model.get_weights()
    message = "^A data source cannot be read under a `tf.distribute` strategy, since Keras reads "
    with pytest.raises(ValueError, match=message):
        model.fit(source(), verbose=0)
    assert same_weights(model, before)


def test_class_weights() -> None:
    x, y = batch(10)
    losses = []
    for scope in (tf.distribute.get_strategy().scope(), strategy().scope()):
        with scope:
            model = small_model(optimizer=keras.optimizers.SGD(0.1))
        np.random.seed(0)
        weights = {label: label / 2 for label in range(7)}
        history = model.fit(x, y, batch_size=4, epochs=2, class_weight=weights, verbose=0).history
        losses.append(history["loss"])
    np.testing.assert_allclose(*losses, rtol=1e-5)


class Noting(keras_qa.models.QAModel):
    """Notes the devices of its batches."""

    def predict_step(self, data):
        outputs = super().predict_step(data)
        self.devices.add(outputs.device[-5:])
        return outputs


def test_a_device_applies_to_all_threads() -> None:
    base = keras_qa.models.answer_classifier(50, 50, 5)
    model = Noting(base.inputs, base.outputs[0])
    model.compile(run_eagerly=True)

    def predicted() -> set[str]:
        model.devices = set()
        model.predict([np.ones((16, 6), "int32"), np.ones((16, 4), "int32")], 2, verbose=0)
        return model.devices

    assert predicted() == {"CPU:0"}
    with tf.device("CPU:1"):
        assert predicted() == {"CPU:1"}
    assert predicted() == {"CPU:0"}
